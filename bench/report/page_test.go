package report

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"testing"

	"sluice/bench/result"
)

func pageOf(t *testing.T, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Page(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPageHoldsFiguresWithoutScripts is what a text browser shows.
func TestPageHoldsFiguresWithoutScripts(t *testing.T) {
	text := pageOf(t, spike(t))
	for _, want := range []string{"<title>spike · sluice bench</title>", "57,479", "429 no_credits", "8 cores of Example CPU", "seed 42",
		"phase spike", "tenant noisy", "99.95 %", "9f2c-3-117", "the longest answer took", "The MIT License"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(text, "Before you quote this") {
		t.Error("a good run has a warning")
	}
	late := spike(t)
	late.Generator.LateP99 = 50_000
	if !strings.Contains(pageOf(t, late), "Before you quote this") {
		t.Error("a late generator is not seen")
	}
}

// TestPageLoadsNothing looks for what a browser would fetch.
func TestPageLoadsNothing(t *testing.T) {
	text := pageOf(t, spike(t))
	if found := regexp.MustCompile(`(?i)(\ssrc=|@import|url\(|<link [^>]*href="[^d])`).FindString(text); found != "" {
		t.Errorf("the page fetches something: %q", found)
	}
}

// TestPageTakesNamesAsText is given names that would end a script, or begin one.
func TestPageTakesNamesAsText(t *testing.T) {
	r := spike(t)
	evil := `</script><script>document.title="taken"</script><!--`
	r.Scenario, r.About, r.Target, r.Phases[1].Name, r.Tenants[0].Name, r.Machine.CPU = evil, evil, evil, evil, evil, evil
	r.Series[3].Mailboxes[evil] = 1
	r.Verified.Examples[0] = evil
	text := pageOf(t, r)
	if strings.Contains(text, `<script>document`) || strings.Contains(text, "</script><script>document") {
		t.Error("a name has become a script")
	}
	if n := strings.Count(text, "</script>"); n != 2 {
		t.Errorf("%d scripts end, want 2", n)
	}
	if strings.Contains(text, "<!--") {
		t.Error("a name has begun a comment")
	}
}

func TestPageOfTheLeastRun(t *testing.T) {
	text := pageOf(t, smoke())
	if !strings.Contains(text, "The result holds no samples to draw.") || !strings.Contains(text, "not watched") {
		t.Error("the page does not say what is missing")
	}
}

func TestPlots(t *testing.T) {
	ids := func(r *result.Run) string {
		var all []string
		for _, p := range plots(r, r.Series) {
			all = append(all, p.ID)
		}
		return strings.Join(all, " ")
	}
	unwatched, unanswered := spike(t), spike(t)
	unwatched.Server = nil
	unanswered.Latency.Histogram = ""
	for _, tc := range []struct {
		name string
		run  *result.Run
		want string
	}{
		{"a run that was watched has all plots", spike(t), "latency percentiles throughput credits mailboxes cpu memory"},
		{"an unwatched one has none of the server", unwatched, "latency percentiles throughput"},
		{"without a histogram there is no percentile curve", unanswered, "latency throughput credits mailboxes cpu memory"},
		{"without samples there is nothing", smoke(), ""},
	} {
		if got := ids(tc.run); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestCurve holds the percentile curve against the histogram it is of.
func TestCurve(t *testing.T) {
	r := spike(t)
	p, _ := percentilePlot(r)
	if first, last := p.X[0], p.X[len(p.X)-1]; first != 1 || float64(last) < 0.9*float64(r.Latency.Count) || float64(last) > float64(r.Latency.Count) {
		t.Errorf("the curve goes from %v to %v, of %d values", first, last, r.Latency.Count)
	}
	before := number(0)
	for i, y := range p.Lines[0].Values {
		if math.IsNaN(float64(y)) || y < before {
			t.Fatalf("the curve falls at %v: %v after %v", p.X[i], y, before)
		}
		before = y
	}
	if got := p.Lines[0].Values[80]; got != number(r.Latency.P99) { // 40 a decade
		t.Errorf("the curve has %v at 99 %%, the result %v", got, r.Latency.P99)
	}
}
