package load

import (
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// maxLatency is the longest time that is told apart from longer ones.
const maxLatency = 30 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), 3)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	us := min(max(d.Microseconds(), 0), maxLatency.Microseconds())
	h.RecordValue(us) //nolint:errcheck // it is within the range
}

// refusal is how a whole request was refused.
type refusal struct {
	status int
	code   string
	events uint64
}

// A tally is what became of events.
type tally struct {
	requests, sent                         uint64
	accepted, duplicates, rejected, failed uint64
	unknown, unsent                        uint64
	bytes                                  uint64
	refused                                []refusal // few: one a code
}

func (t *tally) refuse(status int, code []byte, n uint64) {
	for i := range t.refused {
		if r := &t.refused[i]; r.status == status && r.code == string(code) {
			r.events += n
			return
		}
	}
	t.refused = append(t.refused, refusal{status, string(code), n})
}

func (t *tally) refusedEvents() (n uint64) {
	for _, r := range t.refused {
		n += r.events
	}
	return n
}

// ends is how many events have their outcome.
func (t *tally) ends() uint64 {
	return t.accepted + t.duplicates + t.rejected + t.failed + t.unknown + t.unsent + t.refusedEvents()
}

func (t *tally) add(o *tally) {
	t.requests += o.requests
	t.sent += o.sent
	t.accepted += o.accepted
	t.duplicates += o.duplicates
	t.rejected += o.rejected
	t.failed += o.failed
	t.unknown += o.unknown
	t.unsent += o.unsent
	t.bytes += o.bytes
	for _, r := range o.refused {
		t.refuse(r.status, []byte(r.code), r.events)
	}
}

func (t *tally) reset() {
	refused := t.refused
	for i := range refused {
		refused[i].events = 0
	}
	*t = tally{refused: refused}
}

// A cell is what is known of some requests: those of a second, or of a phase.
type cell struct {
	tally
	latency *hdrhistogram.Histogram
}

func newCell() *cell { return &cell{latency: newHistogram()} }

func (c *cell) add(o *cell) {
	c.tally.add(&o.tally)
	c.latency.Merge(o.latency)
}

func (c *cell) reset() {
	c.tally.reset()
	c.latency.Reset()
}

// A shard is where some of a tenant's connections record. The second that is under
// way is swapped against an empty one when it is over, so that no request waits
// for it to be read.
type shard struct {
	mu     sync.Mutex
	second *cell
	phases []*cell                 // by phase, 0 is the warm-up; nil until there is something
	late   *hdrhistogram.Histogram // how late requests left that a connection was waiting to send
}

func newShard(phases int) *shard {
	return &shard{second: newCell(), phases: make([]*cell, phases+1), late: newHistogram()}
}

// record is one request.
type record struct {
	phase   int
	latency time.Duration
	timed   bool // latency counts
	late    time.Duration
	waited  bool // late counts
	tally   tally
	// Of a request that was refused as a whole, some of it at least.
	status  int
	code    []byte
	refused uint64
}

// add counts r, and makes nothing unless it is the first of its phase.
func (s *shard) add(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phases[r.phase]
	if p == nil {
		p = newCell()
		s.phases[r.phase] = p
	}
	for _, c := range [...]*cell{s.second, p} {
		c.tally.add(&r.tally)
		if r.refused > 0 {
			c.refuse(r.status, r.code, r.refused)
		}
		if r.timed {
			observe(c.latency, r.latency)
		}
	}
	if r.waited && r.phase > 0 {
		observe(s.late, r.late)
	}
}

// swap returns the second that is over and gives the shard an empty one.
func (s *shard) swap(empty *cell) *cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.second
	s.second = empty
	return full
}

// totals returns the tally as a result has it.
func (t *tally) totals(seconds float64) result.Totals {
	r := result.Totals{
		Requests: t.requests, Sent: t.sent, Accepted: t.accepted, Duplicates: t.duplicates, Rejected: t.rejected,
		Failed: t.failed, Unknown: t.unknown, Unsent: t.unsent, Bytes: t.bytes, Refused: map[string]uint64{},
	}
	for _, x := range t.refused {
		if x.events > 0 {
			r.Refused[x.name()] += x.events
		}
	}
	if seconds > 0 {
		r.EventsPerS = float64(t.accepted) / seconds
		r.BytesPerS = float64(t.bytes) / seconds
	}
	return r
}

// latencies returns the distribution as a result has it.
func latencies(h *hdrhistogram.Histogram, whole bool) result.Latency {
	l := result.Latency{Count: uint64(h.TotalCount())}
	if l.Count == 0 {
		return l
	}
	l.Mean, l.Min, l.Max = h.Mean(), h.Min(), h.Max()
	l.P50, l.P90, l.P99 = h.ValueAtQuantile(50), h.ValueAtQuantile(90), h.ValueAtQuantile(99)
	l.P999, l.P9999 = h.ValueAtQuantile(99.9), h.ValueAtQuantile(99.99)
	if whole {
		if b, err := h.EncodeV2(); err == nil {
			l.Histogram = string(b)
		}
	}
	return l
}

// name is the refusal as "status code".
func (r *refusal) name() string {
	if r.code == "" {
		return strconv.Itoa(r.status)
	}
	return strconv.Itoa(r.status) + " " + r.code
}
