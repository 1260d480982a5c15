package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	benchresult "sluice/bench/result"
)

// printBench prints the result as a table.
func printBench(out io.Writer, r *benchresult.Run) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	us := func(v int64) string { return shortTime(time.Duration(v) * time.Microsecond) }
	t := &r.Totals
	row("scenario", "%s, %s loop, %d connections, %s of %d to %s", r.Scenario, r.Load.Loop, r.Load.Connections, r.Load.Format, r.Load.Batch, r.Target)
	row("measured", "%.1f s, %.0f events/s accepted, %.1f MB/s sent", r.Seconds, t.EventsPerS, t.BytesPerS/1e6)
	row("sent", "%d events in %d requests", t.Sent, t.Requests)
	row("accepted", "%d", t.Accepted)
	for _, x := range []struct {
		name string
		n    uint64
	}{{"duplicates", t.Duplicates}, {"rejected", t.Rejected}, {"failed", t.Failed}, {"no answer", t.Unknown}, {"not sent", t.Unsent}} {
		if x.n > 0 {
			row(x.name, "%d", x.n)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(t.Refused)) {
		row("refused", "%d with %s", t.Refused[code], code)
	}
	l := &r.Latency
	row("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  p99.99 %s  max %s", us(l.P50), us(l.P90), us(l.P99), us(l.P999), us(l.P9999), us(l.Max))
	for _, p := range r.Phases {
		row("  "+p.Name, "%.0f/s offered, %.0f/s accepted, p50 %s  p99 %s", p.Offered, p.Totals.EventsPerS, us(p.Latency.P50), us(p.Latency.P99))
	}
	for _, x := range r.Tenants {
		row("  "+x.Name, "%.0f/s accepted of %d sent, p50 %s  p99 %s", x.Totals.EventsPerS, x.Totals.Sent, us(x.Latency.P50), us(x.Latency.P99))
	}
	if k := r.Knee; k != nil {
		row("knee", "%.0f/s holds a p99 of %s; %.0f/s does not", k.Rate, us(k.LimitP99), k.Above)
	}
	if s := r.Server; s != nil {
		row("server", "%.2f cores, %.2f µs/event, at most %d MB", s.CPUSeconds/r.Seconds, s.CPUPerEvent, s.RSSMax/1e6)
	}
	g := &r.Generator
	row("generator", "%.2f cores, %.2f µs/event, late by %s (p99)", g.CPUSeconds/r.Seconds, g.CPUPerEvent, us(g.LateP99))
	if g.Limit > 0 {
		row("its limit", "%.0f events/s", g.Limit)
	}
	if r.Stopped != "" {
		row("stopped", "%s", r.Stopped)
	}
	return w.Flush()
}
