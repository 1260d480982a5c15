package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"sluice/bench/result"
)

// uplot/ is uPlot 1.6.32 as the npm package has it.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
	//go:embed uplot/uPlot.iife.min.js
	uplotJS string
	//go:embed uplot/uPlot.min.css
	uplotCSS string
	//go:embed uplot/LICENSE
	uplotLicence string
)

// At most so many samples are drawn, and so many rows of figures shown.
const (
	maxPoints = 1800
	maxRows   = 60
)

// page is what page.html is filled with.
type page struct {
	Policy    string
	CSS       template.CSS
	Script    template.JS
	Data      template.JS
	Title     string
	About     string
	Lead      string
	How       []string
	Machine   []string
	Warnings  []string
	Cards     []card
	Plots     []plot
	Stretch   int // seconds that a point of a plot stands for
	Events    grid
	Outcomes  []outcome
	Times     grid
	Findings  []finding
	OverTime  grid
	RowLength int // seconds
	Shares    grid
}

// card is one of the few figures that most readers come for.
type card struct{ Name, Figure, Note string }

// pageData is what the page's script reads.
type pageData struct {
	At     []number `json:"at"`
	Phases []phase  `json:"phases"`
	Plots  []plot   `json:"plots"`
}

type phase struct {
	Name string `json:"name"`
	From number `json:"from"`
}

// Page writes r as one page of HTML that needs nothing else: it may be mailed, put
// on a server or opened from a disk, and asks nobody for anything. Its policy
// (CSP) forbids it to.
func Page(w io.Writer, r *result.Run) error {
	t, err := template.New("page").Funcs(template.FuncMap{"inc": func(i int) int { return i + 1 }}).Parse(pageHTML)
	if err != nil {
		return err
	}
	p, err := newPage(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

func newPage(r *result.Run) (*page, error) {
	samples, stretch := thin(r.Series, maxPoints)
	rows, length := thin(r.Series, maxRows)
	all := append([]plot{}, plots(r, samples)...)
	data := pageData{At: []number{}, Phases: []phase{}, Plots: all} // never null: the script walks them
	for i := range samples {
		data.At = append(data.At, number(samples[i].At))
	}
	for i := range r.Phases {
		data.Phases = append(data.Phases, phase{Clean(r.Phases[i].Name), number(r.Phases[i].From)})
	}
	text, err := json.Marshal(data) // escapes <, > and &: nothing in it can end the script
	if err != nil {
		return nil, err
	}
	css := "/*\n" + uplotLicence + "*/\n" + uplotCSS + "\n" + pageCSS
	script := "/*\n" + uplotLicence + "*/\n" + uplotJS + "\n" + pageJS
	return &page{
		Policy: fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'", hash(script), hash(css)),
		CSS:    template.CSS(css), Script: template.JS(script), Data: template.JS(text),
		Title: Clean(r.Scenario), About: r.About, Lead: Lead(r), How: how(r), Machine: machine(&r.Machine),
		Warnings: Warnings(r), Cards: cards(r), Plots: all, Stretch: stretch,
		Events: events(r), Outcomes: outcomes(&r.Totals), Times: times(r), Findings: findings(r),
		OverTime: figuresOverTime(rows, r.Server != nil), RowLength: length, Shares: figuresByPercentile(r),
	}, nil
}

// hash is how a policy names a script or style that is part of the page.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func cards(r *result.Run) []card {
	t, l := &r.Totals, &r.Latency
	all := []card{{"accepted", Rate(t.EventsPerS), "events/s, " + megabytes(t.BytesPerS) + " of bodies"}}
	if k := r.Knee; k != nil {
		all = append(all, card{"knee", Rate(k.Rate), "events/s with p99 ≤ " + Micros(float64(k.LimitP99))})
	}
	all = append(all,
		card{"p50", orDash(l.P50), "half of the answers"},
		card{"p99", orDash(l.P99), "99 of 100"},
		card{"p99.9", orDash(l.P999), "999 of 1,000"},
		card{"longest", orDash(l.Max), "of " + plural(l.Count, "answer")},
		card{"not taken", percent(share(refused(t)+t.Failed+t.Unknown+t.Unsent, due(t))), "refused, failed, unknown, unsent"})
	if v := r.Verified; v != nil {
		all = append(all, card{"lost", Count(v.Lost), fmt.Sprintf("of %s read back", Count(v.Found))})
	}
	if s := r.Server; s != nil {
		all = append(all, card{"server CPU", Micros(s.CPUPerEvent), "an accepted event"}, card{"server memory", MiB(s.RSSMax), "at most"})
	}
	return all
}
