package report

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// thin returns at most n samples that stand for all: of each stretch the mean of
// the rates, the median of the medians, and the worst of the rest, so that no peak
// is lost. seconds is how long a stretch is.
func thin(all []result.Sample, n int) (some []result.Sample, seconds int) {
	seconds = max(1, (len(all)+n-1)/n)
	if seconds == 1 {
		return all, 1
	}
	for of := range slices.Chunk(all, seconds) {
		some = append(some, together(of))
	}
	return some, seconds
}

func together(of []result.Sample) result.Sample {
	one := result.Sample{At: of[0].At}
	var p50 []int64
	for i := range of {
		s := &of[i]
		one.Sent += s.Sent
		one.Accepted += s.Accepted
		one.Refused += s.Refused
		one.Unknown += s.Unknown
		one.ServerCPU += s.ServerCPU
		if s.P50 > 0 {
			p50 = append(p50, s.P50)
		}
		one.P99, one.Max = max(one.P99, s.P99), max(one.Max, s.Max)
		one.ServerRSS = max(one.ServerRSS, s.ServerRSS)
		one.CreditShare = max(one.CreditShare, s.CreditShare)
		for stage, n := range s.Mailboxes {
			if one.Mailboxes == nil {
				one.Mailboxes = map[string]float64{}
			}
			one.Mailboxes[stage] = max(one.Mailboxes[stage], n)
		}
	}
	for _, mean := range []*float64{&one.Sent, &one.Accepted, &one.Refused, &one.Unknown, &one.ServerCPU} {
		*mean /= float64(len(of))
	}
	if len(p50) > 0 {
		slices.Sort(p50)
		one.P50 = p50[len(p50)/2]
	}
	return one
}

// stages are the pipeline's, in its order; others that a server names come behind.
func stages(samples []result.Sample) []string {
	seen := map[string]bool{}
	for i := range samples {
		for stage := range samples[i].Mailboxes {
			seen[stage] = true
		}
	}
	var all []string
	for _, stage := range []string{"parser", "validator", "users", "user", "batcher", "writer"} {
		if seen[stage] {
			all = append(all, stage)
			delete(seen, stage)
		}
	}
	return append(all, slices.Sorted(maps.Keys(seen))...)
}

// number is a figure of a plot: six digits of it, and null where there is none.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// someTime is a time in microseconds, or nothing: a second without an answer has none.
func someTime(us int64) number {
	if us <= 0 {
		return number(math.NaN())
	}
	return number(us)
}

// quantiles returns what a percentile curve of so many values is drawn at, as
// 1/(1-q): evenly on a log scale, from the smallest value to the largest.
func quantiles(count int64) []number {
	const perDecade = 40
	decades := math.Log10(float64(max(count, 10)))
	var all []number
	for i := range int(decades*perDecade) + 1 {
		all = append(all, number(math.Pow(10, float64(i)/perDecade)))
	}
	return all
}

// curve is the values of h at quantiles, and nothing where h has too few to tell.
func curve(h *hdrhistogram.Histogram, at []number) []number {
	var all []number
	for _, x := range at {
		if float64(x) > float64(h.TotalCount())*1.0001 {
			all = append(all, number(math.NaN()))
			continue
		}
		all = append(all, someTime(max(1, h.ValueAtPercentile(100*(1-1/float64(x))))))
	}
	return all
}
