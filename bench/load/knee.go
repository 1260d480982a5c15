package load

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// maxSteps bounds a search.
const maxSteps = 40

// A search looks for the highest rate that holds a limit. It is told what each
// rate came to and says which is next; it knows nothing of time or connections.
//
// States: climbing -(a rate does not hold)-> halving -(close enough)-> done.
type search struct {
	knee  Knee
	rate  float64 // that is tried
	holds float64 // the highest that held; 0: none
	fails float64 // the lowest that did not; 0: none
	again bool    // rate is tried a second time
	steps int
}

func newSearch(k Knee) *search { return &search{knee: k, rate: k.From} }

// told takes the outcome for s.rate. It reports false when the search is over. A
// rate that does not hold gets a second chance: a machine has hiccups.
func (s *search) told(held bool) bool {
	s.steps++
	if !held && !s.again {
		s.again = true
		return s.steps < maxSteps
	}
	s.again = false
	if held {
		s.holds = s.rate
	} else {
		s.fails = s.rate
	}
	switch {
	case s.steps >= maxSteps:
		return false
	case s.fails == 0 && s.knee.To > 0 && s.holds >= s.knee.To:
		return false
	case s.fails == 0:
		s.rate *= s.knee.Factor
		if s.knee.To > 0 {
			s.rate = min(s.rate, s.knee.To)
		}
	case s.fails-s.holds <= s.fails*s.knee.Precision || s.holds == 0 && s.fails < s.knee.From/50:
		return false
	default:
		s.rate = (s.holds + s.fails) / 2
	}
	return true
}

// badShare is how many of the events of a step may not be accepted.
const badShare = 0.001

// held says whether a step held the limit, and what it came to. When the generator
// itself was late by a tenth of the limit or more, that is said too: the step may
// have failed for it.
func (k *Knee) held(step *result.Run) (bool, string) {
	t := &step.Totals
	bad := t.Failed + t.Unknown + t.Unsent
	for _, n := range t.Refused {
		bad += n
	}
	p99 := time.Duration(step.Latency.P99) * time.Microsecond
	late := time.Duration(step.Generator.LateP99) * time.Microsecond
	what := fmt.Sprintf("p99 %v", p99)
	if late >= k.LimitP99/10 {
		what += fmt.Sprintf(", generator late by %v", late)
	}
	if float64(bad) > badShare*float64(t.Sent+t.Unsent) {
		return false, fmt.Sprintf("%d of %d events were not accepted", bad, t.Sent+t.Unsent)
	}
	return p99 <= k.LimitP99, what
}

// searchKnee runs the steps of a search, each with connections of its own.
func searchKnee(ctx context.Context, p *Plan, o Options) (*result.Run, error) {
	s := newSearch(*p.Knee)
	var sum *kneeSum
	for conns := 0; ; {
		step := *p
		step.Knee, step.Count, step.For = nil, 0, p.Knee.Step
		step.Open = &Open{Rate: s.rate, Phases: []string{""}, Segments: []Segment{{From: s.rate, To: s.rate, For: p.Knee.Step}}}
		if sum != nil {
			step.Warmup = min(p.Warmup, time.Second)
		}
		name := fmt.Sprintf("%.0f/s", s.rate)
		so := o
		if o.Progress != nil {
			so.Progress = func(g Progress) { g.Phase = name; o.Progress(g) }
		}
		r, err := newRunner(&step, so, conns)
		if err != nil {
			return nil, err
		}
		conns += len(r.workers)
		run, all, late, err := r.measure(ctx)
		if err != nil && sum == nil {
			return nil, err
		}
		if err != nil {
			sum.run.Stopped = err.Error()
			break
		}
		if sum == nil {
			sum = &kneeSum{run: *run, all: newCell(), late: newHistogram()}
			sum.run.Series = nil
			sum.run.Seconds, sum.run.Server, sum.run.Generator = 0, nil, result.Generator{}
		}
		held, why := p.Knee.held(run)
		verdict := "holds"
		if !held {
			verdict = "does not hold"
		}
		sum.add(run, all, late, fmt.Sprintf("%s %s: %s", name, verdict, why))
		if run.Stopped != "" {
			sum.run.Stopped = run.Stopped
			break
		}
		if sum.all.accepted == 0 {
			sum.run.Stopped = "nothing was accepted"
			break
		}
		if !s.told(held) {
			break
		}
	}
	return sum.finish(s), nil
}

// kneeSum is the steps of a search, as one run.
type kneeSum struct {
	run  result.Run
	all  *cell
	late *hdrhistogram.Histogram
}

func (k *kneeSum) add(step *result.Run, all *cell, late *hdrhistogram.Histogram, name string) {
	k.all.add(all)
	k.late.Merge(late)
	offered := step.Load.Rate
	whole := step.Latency
	whole.Histogram = "" // one for the whole run is enough
	k.run.Phases = append(k.run.Phases, result.Phase{Name: name, From: k.run.Seconds, Seconds: step.Seconds, Offered: offered, Totals: step.Totals, Latency: whole})
	for _, s := range step.Series {
		s.At += k.run.Seconds
		k.run.Series = append(k.run.Series, s)
	}
	k.run.Seconds += step.Seconds
	k.run.Generator.CPUSeconds += step.Generator.CPUSeconds
	k.run.Generator.RSSMax = max(k.run.Generator.RSSMax, step.Generator.RSSMax)
	if s := step.Server; s != nil {
		if k.run.Server == nil {
			k.run.Server = &result.Server{}
		}
		t := k.run.Server
		t.CPUSeconds += s.CPUSeconds
		t.RSSMax, t.GoroutinesMax, t.FilesMax = max(t.RSSMax, s.RSSMax), max(t.GoroutinesMax, s.GoroutinesMax), max(t.FilesMax, s.FilesMax)
		t.CreditShareMax = max(t.CreditShareMax, s.CreditShareMax)
	}
}

func (k *kneeSum) finish(s *search) *result.Run {
	r := &k.run
	r.Load.Rate = 0 // there were several
	r.Tenants = nil // of the first step only
	r.Totals, r.Latency = k.all.totals(r.Seconds), latencies(k.all.latency, true)
	r.Knee = &result.Knee{LimitP99: s.knee.LimitP99.Microseconds(), Rate: s.holds, Above: s.fails}
	if k.all.sent > 0 {
		r.Generator.CPUPerEvent = r.Generator.CPUSeconds * 1e6 / float64(k.all.sent)
	}
	if r.Server != nil && k.all.accepted > 0 {
		r.Server.CPUPerEvent = r.Server.CPUSeconds * 1e6 / float64(k.all.accepted)
	}
	if k.late.TotalCount() > 0 {
		r.Generator.LateP99 = k.late.ValueAtQuantile(99)
	}
	return r
}
