package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sluice/bench/result"
)

// Count is n with a comma at each thousand.
func Count(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Rate is a number a second: whole from 100 on.
func Rate(perSecond float64) string {
	if math.Abs(perSecond) < 99.95 {
		return trim(perSecond, 1)
	}
	return Count(uint64(math.Round(perSecond)))
}

// Micros is a time of so many microseconds, with three digits.
func Micros(us float64) string {
	switch {
	case us < 999.5:
		return three(us) + " µs"
	case us < 999_500:
		return three(us/1e3) + " ms"
	}
	return three(us/1e6) + " s"
}

// three is x to three significant digits, for x below 1,000; above, whole.
func three(x float64) string {
	switch {
	case x < 9.995:
		return trim(x, 2)
	case x < 99.95:
		return trim(x, 1)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// trim is x with n digits behind the point, or none when they are all zero.
func trim(x float64, n int) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', n, 64), "."+strings.Repeat("0", n))
}

// MiB is a size in memory.
func MiB(bytes uint64) string { return three(float64(bytes)/(1<<20)) + " MiB" }

// megabytes is a rate of bytes, as networks count them.
func megabytes(perSecond float64) string { return three(perSecond/1e6) + " MB/s" }

// percent is a share of 1. What is not all never looks like it, nor nothing.
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.0001:
		return "<0.01 %"
	case share < 1 && share > 0.9999:
		return ">99.99 %"
	}
	return trim(share*100, 2) + " %"
}

func seconds(s float64) string { return three(s) + " s" }

// plural is "1 user" and "2 users".
func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Count(n) + " " + what + "s"
}

// Clean keeps what a file says from commanding the terminal it is shown on.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

// due is the number of events that should have been sent: every one has one outcome.
func due(t *result.Totals) uint64 {
	return t.Accepted + t.Duplicates + t.Rejected + t.Failed + refused(t) + t.Unknown + t.Unsent
}

func refused(t *result.Totals) (n uint64) {
	for _, of := range t.Refused {
		n += of
	}
	return n
}

// outcome is one line of what became of the events.
type outcome struct {
	Name, Meaning string
	N             uint64
}

// outcomes are all there are, also those that are 0: that nothing was lost is a
// result.
func outcomes(t *result.Totals) []outcome {
	all := []outcome{
		{"accepted", "new, and answered with success", t.Accepted},
		{"duplicates", "stored before, which is a success", t.Duplicates},
		{"rejected", "invalid, each by itself", t.Rejected},
		{"failed", "each by itself; may be sent again", t.Failed},
	}
	if len(t.Refused) == 0 {
		all = append(all, outcome{"refused", "with their request", 0})
	}
	for _, code := range slices.Sorted(maps.Keys(t.Refused)) {
		all = append(all, outcome{"refused " + Clean(code), "with their request", t.Refused[code]})
	}
	return append(all,
		outcome{"unknown", "no answer: the connection broke, or time was up", t.Unknown},
		outcome{"unsent", "due, and the run was over", t.Unsent})
}

// share is the part of all that n is.
func share(n, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(n) / float64(all)
}

// over is a/b, and 0 when there is no b.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Lead is what was done, in a line.
func Lead(r *result.Run) string {
	l := &r.Load
	words := []string{l.Loop + " loop"}
	if l.Rate > 0 {
		words = append(words, Rate(l.Rate)+" events/s")
	}
	events := "single events"
	if l.Format != "single" {
		events = fmt.Sprintf("%s of %s", Clean(l.Format), plural(uint64(max(l.Batch, 0)), "event"))
	}
	words = append(words, fmt.Sprintf("%s of %s B", events, three(l.EventBytes)),
		plural(uint64(max(l.Connections, 0)), "connection"), plural(uint64(max(l.Users, 0)), "user"))
	if l.Ack != "" {
		words = append(words, "ack "+Clean(l.Ack))
	}
	return strings.Join(words, ", ")
}

// how is where, when and how long.
func how(r *result.Run) []string {
	lasted := seconds(r.Seconds)
	if r.Warmup > 0 {
		lasted += " after " + seconds(r.Warmup) + " of warm-up"
	}
	return []string{Clean(r.Target), lasted, fmt.Sprintf("seed %d", r.Seed), r.Started.UTC().Format("2006-01-02 15:04:05 UTC")}
}

// machine is what both sides ran on.
func machine(m *result.Machine) []string {
	cores := plural(uint64(max(m.Cores, 0)), "core")
	if m.CPU != "" {
		cores += " of " + Clean(m.CPU)
	}
	return []string{"sluice " + strings.TrimPrefix(Clean(m.Version), "sluice "), cores, Clean(m.OS), Clean(m.Go), "load " + trim(m.Load1, 2) + " at the start"}
}
