package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// countDue counts, by lane and phase, the events that were due up to now, and
// returns how many of them have neither an outcome nor are under way.
func (r *runner) countDue(now time.Duration) uint64 {
	if r.plan.Open == nil {
		return 0
	}
	batch := uint64(r.plan.Events.Batch)
	var due, ends uint64
	for i, l := range r.lanes {
		for {
			if r.ahead[i] == nil {
				s, ok := r.counted[i].next()
				if !ok {
					break
				}
				r.ahead[i] = &s
			}
			if r.ahead[i].due > now {
				break
			}
			r.due[i][r.ahead[i].phase] += batch
			r.ahead[i] = nil
		}
		for _, n := range r.due[i] {
			due += n
		}
		ends += l.ends()
	}
	for _, w := range r.workers {
		if w.since.Load() != 0 {
			ends += batch
		}
	}
	return due - min(due, ends)
}

// ends is how many events of the lane have their outcome.
func (l *lane) ends() (n uint64) {
	for _, s := range l.shards {
		s.mu.Lock()
		for _, c := range s.phases {
			if c != nil {
				n += c.ends()
			}
		}
		s.mu.Unlock()
	}
	return n
}

// byPhase merges the shards.
func (l *lane) byPhase(phases int) []*cell {
	cells := make([]*cell, phases)
	for i := range cells {
		cells[i] = newCell()
	}
	for _, s := range l.shards {
		s.mu.Lock()
		for i, c := range s.phases {
			if c != nil {
				cells[i].add(c)
			}
		}
		s.mu.Unlock()
	}
	return cells
}

// result puts together what a run that ended at end has shown: as a result, the sum
// of all that was measured, and how late requests left. All workers have ended.
func (r *runner) result(end time.Duration) (*result.Run, *cell, *hdrhistogram.Histogram) {
	p := r.plan
	r.countDue(end)
	seconds := max(0, end-p.Warmup).Seconds()
	run := &result.Run{
		Version: result.Version, Scenario: p.Name, About: p.About, Target: p.Target.URL,
		Seconds: seconds, Warmup: min(end, p.Warmup).Seconds(), Seed: p.Seed, Stopped: r.stopped,
		Load: p.load(len(r.workers)), Series: r.series,
	}
	names := p.phases()
	all, phases, late := newCell(), make([]*cell, len(names)), newHistogram()
	for i := range phases {
		phases[i] = newCell()
	}
	for i, l := range r.lanes {
		own := newCell()
		for k, c := range l.byPhase(len(names) + 1)[1:] {
			if p.Open != nil { // a closed loop has nothing that is due and was not sent
				c.unsent += r.due[i][k+1] - min(r.due[i][k+1], c.ends())
			}
			phases[k].add(c)
			own.add(c)
		}
		for _, s := range l.shards {
			late.Merge(s.late)
		}
		all.add(own)
		if len(r.lanes) > 1 {
			run.Tenants = append(run.Tenants, result.Tenant{Name: l.tenant.Name, Totals: own.totals(seconds), Latency: latencies(own.latency, false)})
		}
	}
	run.Totals, run.Latency = all.totals(seconds), latencies(all.latency, true)
	if len(names) > 1 {
		run.Phases = r.phases(names, phases, end)
	}
	r.ownFigures(run, all, late)
	if r.opts.Server != nil {
		run.Server = r.server.result(all.accepted)
	}
	r.keepLedger()
	return run, all, late
}

// phases returns the phases that began, with the time that each had.
func (r *runner) phases(names []string, cells []*cell, end time.Duration) []result.Phase {
	list := make([]result.Phase, len(names))
	offered := make([]float64, len(names)) // events
	at := r.plan.Warmup
	for _, s := range r.plan.Open.Segments {
		p := &list[s.Phase]
		if p.Seconds == 0 {
			p.From = (at - r.plan.Warmup).Seconds()
		}
		part := max(0, min(s.For, end-at)).Seconds()
		p.Seconds += part
		offered[s.Phase] += part * (s.From + (s.To-s.From)*part/s.For.Seconds()/2)
		at += s.For
	}
	var begun []result.Phase
	for i, p := range list {
		if p.Seconds == 0 {
			continue
		}
		p.Name, p.Offered = names[i], offered[i]/p.Seconds
		p.Totals, p.Latency = cells[i].totals(p.Seconds), latencies(cells[i].latency, false)
		begun = append(begun, p)
	}
	return begun
}

// ownFigures fills in what the generator itself came to.
func (r *runner) ownFigures(run *result.Run, all *cell, late *hdrhistogram.Histogram) {
	g := &run.Generator
	g.CPUSeconds = (ownCPU() - r.ownCPU).Seconds()
	if all.sent > 0 {
		g.CPUPerEvent = g.CPUSeconds * 1e6 / float64(all.sent)
	}
	g.RSSMax = ownRSS()
	if late.TotalCount() > 0 {
		g.LateP99 = late.ValueAtQuantile(99)
	}
	if all.requests > 0 {
		run.Load.EventBytes = float64(all.bytes) / float64(all.requests) / float64(r.plan.Events.Batch)
	}
}

// keepLedger puts the connections' entries into the ledger.
func (r *runner) keepLedger() {
	if r.opts.Ledger == nil {
		return
	}
	r.opts.Ledger.Run = r.plan.Run
	for _, w := range r.workers {
		r.opts.Ledger.Conns = append(r.opts.Ledger.Conns, w.entries)
	}
}

// load says what was asked for.
func (p *Plan) load(connections int) result.Load {
	l := result.Load{
		Loop: "closed", Connections: connections, Format: string(p.Events.Format), Batch: p.Events.Batch,
		Users: p.Users.Count, Ack: p.Ack,
	}
	if p.Open != nil {
		l.Loop, l.Rate = "open", p.Open.Rate
	}
	return l
}
