package report

import (
	"fmt"

	"sluice/bench/result"
)

// What spoils a run. A latency of which a part is the generator's own, or a rate
// that is the generator's, says nothing about the server.
const (
	lateLimit  = 2_000 // µs, of 99 in 100 requests
	busyLimit  = 0.95  // of the cores, generator and server together
	limitShare = 0.8   // of what the generator reaches against a server that does nothing
	otherLoad  = 0.5   // of the cores, taken by others before the start
)

// Warnings says what makes the figures of r doubtful, a sentence each. A run that
// may be quoted has none.
func Warnings(r *result.Run) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	g := &r.Generator
	if r.Stopped != "" {
		warn("the run ended before its time: %s", Clean(r.Stopped))
	}
	if r.Load.Loop == "open" && g.LateP99 > lateLimit {
		warn("the generator was late: one request in a hundred left %s or more after it was due, and its latency counts that", Micros(float64(g.LateP99)))
	}
	cores := float64(r.Machine.Cores) * r.Seconds
	used := g.CPUSeconds
	who := "the generator"
	if r.Server != nil {
		used, who = used+r.Server.CPUSeconds, "generator and server together"
	}
	if busy := over(used, cores); busy > busyLimit && r.Load.Loop == "open" {
		warn("the processors were busy: %s took %s of all cores, so that one waited for the other", who, percent(busy))
	} else if own := over(g.CPUSeconds, cores); own > busyLimit {
		warn("the generator was CPU-bound: it took %s of all cores", percent(own))
	}
	if sent := over(float64(r.Totals.Sent), r.Seconds); g.Limit > 0 && sent > limitShare*g.Limit {
		warn("the generator was near its own limit: it sent %s events/s, and reaches %s against a server that does nothing", Rate(sent), Rate(g.Limit))
	}
	if r.Machine.Cores > 0 && r.Machine.Load1 > otherLoad*float64(r.Machine.Cores) {
		warn("the machine did other work: its load was %s at the start, with %s", trim(r.Machine.Load1, 2), plural(uint64(r.Machine.Cores), "core"))
	}
	if v := r.Verified; v != nil && !v.OK() {
		warn("what was accepted is not all in the sink as it should be: %s", verdict(v))
	}
	return all
}

// verdict is what reading back showed, in a line.
func verdict(v *result.Verified) string {
	text := fmt.Sprintf("%s found, %s lost, %s more than once", Count(v.Found), Count(v.Lost), Count(v.Duplicate))
	if v.Sink == "kafka" {
		text += fmt.Sprintf(", %s out of order", Count(v.OutOfOrder))
	} else {
		text += ", order not judged (rows are sorted by time, not by arrival)"
	}
	if v.Unasked > 0 {
		text += fmt.Sprintf(", %s stored without having been accepted", Count(v.Unasked))
	}
	return text
}
