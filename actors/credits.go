package actors

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// credits is a tenant's budget of what may be in memory at once. Whatever is
// reserved comes back exactly once, when the events have their fate.
//
// Invariant: 0 <= bytes in use <= maxBytes and 0 <= events in use <= maxEvents.
type credits struct {
	maxBytes, maxEvents int64
	bytes, events       atomic.Int64 // in use

	settled atomic.Uint64 // events that had their fate, ever

	mu   sync.Mutex // guards what follows: the drain rate
	last uint64     // settled at the last measurement
	at   time.Time
	rate float64 // events settled a second, smoothed
}

// reserveBytes takes n bytes, or none and reports false.
func (c *credits) reserveBytes(n int) bool { return take(&c.bytes, int64(n), c.maxBytes) }

// reserveEvents takes n events, or none and reports false.
func (c *credits) reserveEvents(n int) bool { return take(&c.events, int64(n), c.maxEvents) }

func take(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) > limit {
		used.Add(-n)
		return false
	}
	return true
}

// ReleaseBytes implements event.Credits.
func (c *credits) ReleaseBytes(n int) { c.bytes.Add(int64(-n)) }

// ReleaseEvents implements event.Credits.
func (c *credits) ReleaseEvents(n int) {
	c.events.Add(int64(-n))
	c.settled.Add(uint64(n))
}

// idle reports whether nothing is reserved.
func (c *credits) idle() bool { return c.bytes.Load() == 0 && c.events.Load() == 0 }

// The bounds of a Retry-After.
const (
	leastRetryAfter = time.Second
	mostRetryAfter  = 30 * time.Second
)

// measure updates the drain rate. It is called about once a second.
func (c *credits) measure(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	settled := c.settled.Load()
	if took := now.Sub(c.at).Seconds(); !c.at.IsZero() && took > 0 {
		const weight = 0.3 // of the newest second; the last three make two thirds
		c.rate += weight * (float64(settled-c.last)/took - c.rate)
	}
	c.last, c.at = settled, now
}

// retryAfter is how long the sink takes for half of what is in flight at the
// rate it has shown: by then there is room again. Between one second and thirty,
// and up to a quarter longer, so that those who were refused together do not
// come back together.
func (c *credits) retryAfter() time.Duration {
	c.mu.Lock()
	rate := c.rate
	c.mu.Unlock()
	wait := mostRetryAfter
	if half := float64(c.events.Load()) / 2; rate > 0 && half/rate < mostRetryAfter.Seconds() {
		wait = time.Duration(half / rate * float64(time.Second))
	} else if half == 0 {
		wait = leastRetryAfter
	}
	wait = max(wait, leastRetryAfter)
	return wait + rand.N(wait/4)
}

// rateLimit is the generic cell rate algorithm (GCRA, ITU-T I.371): tat is the
// time at which what was let through is used up at the permitted rate.
type rateLimit struct {
	interval time.Duration // one event's share of a second; 0: no limit
	burst    time.Duration // how far tat may run ahead

	mu  sync.Mutex
	tat time.Time
}

func newRateLimit(eventsPerSecond float64, burst int) *rateLimit {
	if eventsPerSecond <= 0 {
		return &rateLimit{}
	}
	interval := time.Duration(float64(time.Second) / eventsPerSecond)
	if burst <= 0 {
		burst = max(1, int(eventsPerSecond))
	}
	return &rateLimit{interval: interval, burst: interval * time.Duration(burst)}
}

// take lets n events through at now, or none and says when to come back. A
// request of more events than the burst is let through when nothing is used:
// otherwise it could never be.
func (r *rateLimit) take(now time.Time, n int) (ok bool, wait time.Duration) {
	if r.interval == 0 {
		return true, 0
	}
	cost := r.interval * time.Duration(n)
	r.mu.Lock()
	defer r.mu.Unlock()
	tat := r.tat
	if tat.Before(now) {
		tat = now
	}
	unused := tat.Equal(now)
	if ahead := tat.Sub(now) + cost; ahead > r.burst && !(unused && cost > r.burst) {
		return false, max(min(ahead-r.burst, tat.Sub(now)), leastRetryAfter)
	}
	r.tat = tat.Add(cost)
	return true, 0
}
