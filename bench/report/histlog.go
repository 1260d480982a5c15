package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// nanos is what values are counted in in a histogram log: HistogramLogProcessor and
// the tools like it take that for granted when they print milliseconds.
const nanos = 1_000

// HistogramLog writes the latencies of r as an HdrHistogram interval log of format
// 1.3, values in nanoseconds. The intervals without a tag are those of the phases
// where these make up the run, otherwise one for the whole; with the tag of its
// name follows each tenant.
func HistogramLog(w io.Writer, r *result.Run) error {
	var b bytes.Buffer
	log := hdrhistogram.NewHistogramLogWriter(&b)
	start := r.Started.UnixMilli()
	err := errors.Join(
		log.OutputComment("[Latencies of a run of sluice bench, scenario "+Clean(r.Scenario)+"; values in ns, Interval_Max in ms]"),
		log.OutputLogFormatVersion(), log.OutputStartTime(start), log.OutputLegend())
	if err != nil {
		return err
	}
	for _, i := range intervals(r) {
		h, err := decode(i.latency)
		if err != nil {
			return fmt.Errorf("histogram of %s: %w", i.name, err)
		}
		h, err = inNanos(h)
		if err != nil {
			return fmt.Errorf("histogram of %s: %w", i.name, err)
		}
		h.SetTag(i.tag)
		h.SetStartTimeMs(start + int64(i.from*1e3))
		h.SetEndTimeMs(start + int64((i.from+i.seconds)*1e3))
		if err := log.OutputIntervalHistogram(h); err != nil {
			return fmt.Errorf("histogram of %s: %w", i.name, err)
		}
	}
	_, err = w.Write(b.Bytes())
	return err
}

// interval is one line of the log.
type interval struct {
	name, tag     string
	from, seconds float64
	latency       *result.Latency
}

func intervals(r *result.Run) []interval {
	var all []interval
	var inPhases uint64
	for i := range r.Phases {
		p := &r.Phases[i]
		inPhases += p.Latency.Count
		if p.Latency.Histogram != "" {
			all = append(all, interval{name: "phase " + p.Name, from: p.From, seconds: p.Seconds, latency: &p.Latency})
		}
	}
	if len(all) == 0 || len(all) < len(r.Phases) || inPhases != r.Latency.Count {
		all = []interval{{name: "the run", seconds: r.Seconds, latency: &r.Latency}}
	}
	for i := range r.Tenants {
		if t := &r.Tenants[i]; t.Latency.Histogram != "" {
			all = append(all, interval{"tenant " + t.Name, tag(t.Name), 0, r.Seconds, &t.Latency})
		}
	}
	return all
}

// tag is name as a tag may be: the format ends one at a comma or a blank.
func tag(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}

func decode(l *result.Latency) (*hdrhistogram.Histogram, error) {
	if l.Histogram == "" {
		return nil, errors.New("the result holds none")
	}
	return hdrhistogram.Decode([]byte(l.Histogram))
}

// inNanos returns h, which counts microseconds, in nanoseconds: each value where
// the middle of its bucket comes to, the largest where it was.
func inNanos(h *hdrhistogram.Histogram) (*hdrhistogram.Histogram, error) {
	largest := h.Max() // which walks over all of h
	out := hdrhistogram.New(1, max(largest*nanos*2, int64(time.Minute)), 3)
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		value := (bar.From + bar.To) / 2
		if bar.From <= largest && largest <= bar.To {
			value = largest
		}
		if err := out.RecordValues(value*nanos, bar.Count); err != nil {
			return nil, err
		}
	}
	return out, nil
}
