// Package compare holds two sets of repeated runs of one scenario against each
// other, and says what changed, by how much, and how sure that is.
//
// How sure is a matter of the Mann-Whitney U test, as in benchstat, and of the
// interval that belongs to it, not of a bootstrap. Both ask nothing of how the
// figures are distributed; but a bootstrap draws from the few runs there are, of
// which five can never be as far apart as the next five will be, and so is too
// sure of itself. The test is exact for any number of runs, says when there are
// too few of them to say anything, and one bad run does not sway it.
package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"sluice/bench/report"
	"sluice/bench/result"
)

// Confidence is that of the intervals; a difference counts below 1-Confidence.
const Confidence = 0.95

// File is a run and where it was kept.
type File struct {
	Path string
	Run  *result.Run
}

// Comparison is what two sets came to.
type Comparison struct {
	Scenario    string   `json:"scenario"`
	Load        string   `json:"load"`
	A           []string `json:"a"` // paths
	B           []string `json:"b"`
	LimitShare  float64  `json:"limit"`
	Confidence  float64  `json:"confidence"` // 0: there are too few runs for any
	Figures     []Figure `json:"figures"`
	Missing     []string `json:"missing,omitempty"`     // what could not be compared, and why
	Differences []string `json:"differences,omitempty"` // of scenario and load; only when that was forced
	Doubts      []string `json:"doubts,omitempty"`      // what spoils a run
	Faults      []string `json:"faults,omitempty"`      // of B, whatever A had: events lost, doubled, out of order
	Regressions []string `json:"regressions"`           // the names of the figures that are worse past the limit
}

// Figure is one figure of both sets.
type Figure struct {
	Name           string   `json:"name"`
	Unit           string   `json:"unit"`
	HigherIsBetter bool     `json:"higher_is_better"`
	A              Spread   `json:"a"`
	B              Spread   `json:"b"`
	Ratio          float64  `json:"ratio"` // of the medians, B/A
	Low            *float64 `json:"ratio_low,omitempty"`
	High           *float64 `json:"ratio_high,omitempty"`
	P              *float64 `json:"p,omitempty"` // that runs which do not differ would differ so
	Verdict        Verdict  `json:"verdict"`
}

// Spread is the median of a figure over the runs, and how far these are apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Verdict is what a figure says.
type Verdict string

// The verdicts.
const (
	Same       Verdict = "same"       // no difference that the runs could show
	Better     Verdict = "better"     // surely
	Worse      Verdict = "worse"      // surely, and not past the limit
	Regression Verdict = "regression" // worse past the limit: surely, or there are too few runs to know
	Unsure     Verdict = "unsure"     // too few runs to know, and not worse past the limit
)

// Failed reports whether B should not replace A.
func (c *Comparison) Failed() bool { return len(c.Regressions) > 0 || len(c.Faults) > 0 }

// DifferentError says that the runs are not of the same work.
type DifferentError struct{ Differences []string }

func (e *DifferentError) Error() string {
	return "the runs are not of the same work: " + strings.Join(e.Differences, "; ")
}

// measure is how a figure is taken from a run; ok is false when the run has none.
type measure struct {
	name, unit string
	higher     bool
	take       func(*result.Run) (value float64, ok bool)
}

func measures() []measure {
	latency := func(of func(*result.Latency) int64) func(*result.Run) (float64, bool) {
		return func(r *result.Run) (float64, bool) { return float64(of(&r.Latency)), r.Latency.Count > 0 }
	}
	return []measure{
		{"events/s", "events/s", true, func(r *result.Run) (float64, bool) { return r.Totals.EventsPerS, true }},
		{"knee", "events/s", true, func(r *result.Run) (float64, bool) {
			if r.Knee == nil {
				return 0, false
			}
			return r.Knee.Rate, true
		}},
		{"p50", "µs", false, latency(func(l *result.Latency) int64 { return l.P50 })},
		{"p99", "µs", false, latency(func(l *result.Latency) int64 { return l.P99 })},
		{"p99.9", "µs", false, latency(func(l *result.Latency) int64 { return l.P999 })},
		{"CPU/event", "µs", false, func(r *result.Run) (float64, bool) {
			if r.Server == nil {
				return 0, false
			}
			return r.Server.CPUPerEvent, true
		}},
		{"memory", "bytes", false, func(r *result.Run) (float64, bool) {
			if r.Server == nil {
				return 0, false
			}
			return float64(r.Server.RSSMax), true
		}},
	}
}

// Compare compares two sets of at least one run each. limit is the share of A by
// which B may be worse. Unless force is set, runs of different work are a
// *DifferentError.
func Compare(a, b []File, limit float64, force bool) (*Comparison, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("nothing to compare: %d runs and %d", len(a), len(b))
	}
	c := &Comparison{Scenario: a[0].Run.Scenario, Load: report.Lead(a[0].Run), LimitShare: limit, Regressions: []string{}, Figures: []Figure{}}
	c.Differences = allDifferences(a[0], slices.Concat(a[1:], b))
	if len(c.Differences) > 0 && !force {
		return nil, &DifferentError{c.Differences}
	}
	if least(len(a), len(b)) <= 1-Confidence {
		c.Confidence = Confidence
	}
	for _, f := range a {
		c.A = append(c.A, f.Path)
		c.doubt(f)
	}
	for _, f := range b {
		c.B = append(c.B, f.Path)
		c.doubt(f)
		if v := f.Run.Verified; v != nil && !v.OK() {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: %d events are lost, %d doubled, %d out of order", f.Path, v.Lost, v.Duplicate, v.OutOfOrder))
		}
	}
	for _, m := range measures() {
		c.measure(m, a, b)
	}
	return c, nil
}

func (c *Comparison) doubt(f File) {
	for _, w := range report.Warnings(f.Run) {
		c.Doubts = append(c.Doubts, f.Path+": "+w)
	}
}

// measure compares one figure, or says why that cannot be done. What no run has is
// not missed.
func (c *Comparison) measure(m measure, a, b []File) {
	as, without := values(m, a)
	bs, more := values(m, b)
	without = append(without, more...)
	if len(as)+len(bs) == 0 {
		return
	}
	if len(without) > 0 {
		c.Missing = append(c.Missing, fmt.Sprintf("%s is not compared: %s without it", m.name, strings.Join(without, ", ")))
		return
	}
	f := Figure{Name: m.name, Unit: m.unit, HigherIsBetter: m.higher, A: spread(as), B: spread(bs)}
	if f.A.Median == 0 {
		c.Missing = append(c.Missing, m.name+" is not compared: it is 0 in A")
		return
	}
	f.Ratio = f.B.Median / f.A.Median
	worse := f.Ratio - 1
	if m.higher {
		worse = -worse
	}
	sure := false
	if c.Confidence > 0 {
		p := mannWhitney(as, bs)
		f.P, sure = &p, p < 1-Confidence
		if low, high := interval(as, bs, 1-Confidence); !math.IsInf(high, 0) {
			f.Low, f.High = &low, &high
		}
	}
	switch {
	case worse > c.LimitShare && (sure || c.Confidence == 0):
		f.Verdict = Regression
		c.Regressions = append(c.Regressions, m.name)
	case c.Confidence == 0:
		f.Verdict = Unsure
	case sure && worse > 0:
		f.Verdict = Worse
	case sure && worse < 0:
		f.Verdict = Better
	default:
		f.Verdict = Same
	}
	c.Figures = append(c.Figures, f)
}

// values returns the figure of each run, and the paths of those that have none.
func values(m measure, files []File) (all []float64, without []string) {
	for _, f := range files {
		if v, ok := m.take(f.Run); ok {
			all = append(all, v)
		} else {
			without = append(without, f.Path)
		}
	}
	return all, without
}

func spread(values []float64) Spread {
	return Spread{median(values), slices.Min(values), slices.Max(values)}
}

// allDifferences says in what others are not of the same work as first, each once.
func allDifferences(first File, others []File) []string {
	var order []string
	where := map[string][]string{}
	for _, f := range others {
		for _, d := range differences(first.Run, f.Run) {
			if where[d] == nil {
				order = append(order, d)
			}
			where[d] = append(where[d], f.Path)
		}
	}
	var all []string
	for _, d := range order {
		text := fmt.Sprintf("%s: in %s and %s", d, first.Path, where[d][0])
		if more := len(where[d]) - 1; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		all = append(all, text)
	}
	return all
}

// differences says in what the work of two runs differs. Seeds, machines and
// addresses may.
func differences(a, b *result.Run) []string {
	var all []string
	differ := func(what string, a, b any) {
		if a != b {
			all = append(all, fmt.Sprintf("%s %v and %v", what, a, b))
		}
	}
	differ("scenario", a.Scenario, b.Scenario)
	la, lb := a.Load, b.Load
	differ("loop", la.Loop, lb.Loop)
	differ("rate", la.Rate, lb.Rate)
	differ("connections", la.Connections, lb.Connections)
	differ("format", la.Format, lb.Format)
	differ("batch", la.Batch, lb.Batch)
	if near := math.Abs(la.EventBytes-lb.EventBytes) <= 0.01*max(la.EventBytes, lb.EventBytes); !near { // it may be a mean
		differ("event bytes", la.EventBytes, lb.EventBytes)
	}
	differ("users", la.Users, lb.Users)
	differ("ack", cmp.Or(la.Ack, "default"), cmp.Or(lb.Ack, "default"))
	if longer := max(a.Seconds, b.Seconds); math.Abs(a.Seconds-b.Seconds) > 0.1*longer {
		differ("seconds", math.Round(a.Seconds*10)/10, math.Round(b.Seconds*10)/10)
	}
	return all
}
