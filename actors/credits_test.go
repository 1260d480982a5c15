package actors

import (
	"sync"
	"testing"
	"time"
)

func TestCreditsNeverExceedTheBudget(t *testing.T) {
	c := &credits{maxBytes: 100, maxEvents: 10}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5000 {
				if c.reserveBytes(30) {
					if used := c.bytes.Load(); used < 30 {
						t.Errorf("%d bytes in use while 30 are reserved", used)
					}
					c.ReleaseBytes(30)
				}
				if c.reserveEvents(3) {
					c.ReleaseEvents(3)
				}
			}
		}()
	}
	wg.Wait()
	if !c.idle() {
		t.Errorf("%d bytes and %d events are missing", c.bytes.Load(), c.events.Load())
	}
	if c.reserveBytes(101) || !c.reserveBytes(100) || c.reserveBytes(1) {
		t.Error("the limit does not hold")
	}
}

func TestRetryAfterFollowsTheDrainRate(t *testing.T) {
	c := &credits{maxBytes: 1, maxEvents: 1 << 20}
	start := time.Unix(1000, 0)
	for i := range 30 { // 100 events a second
		c.measure(start.Add(time.Duration(i) * time.Second))
		c.settled.Add(100)
	}
	for _, tc := range []struct {
		name        string
		inFlight    int64
		least, most time.Duration
	}{
		{"nothing in flight is a second", 0, time.Second, 1250 * time.Millisecond},
		{"little in flight is a second", 10, time.Second, 1250 * time.Millisecond},
		{"half of what is in flight at the rate of the sink", 2000, 9 * time.Second, 14 * time.Second},
		{"at most half a minute", 1 << 20, 30 * time.Second, 38 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.events.Store(tc.inFlight)
			if got := c.retryAfter(); got < tc.least || got > tc.most {
				t.Errorf("%v, want from %v to %v", got, tc.least, tc.most)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, tc := range []struct {
		name  string
		at    []time.Duration // of takes of n events each
		n     int
		want  string // y or n for each
		burst int
	}{
		{"no more than the burst at once", []time.Duration{0, 0, 0}, 5, "yyn", 10},
		{"what was used comes back at the rate", []time.Duration{0, 0, 400 * time.Millisecond, 500 * time.Millisecond}, 5, "yyny", 10},
		{"no burst is a second's worth", []time.Duration{0, 0, 0}, 5, "yyn", 0},
		{"a request larger than the burst passes when nothing is used", []time.Duration{0, time.Second, 2 * time.Second}, 20, "yny", 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRateLimit(10, tc.burst)
			got := ""
			for _, at := range tc.at {
				if ok, wait := r.take(start.Add(at), tc.n); ok {
					got += "y"
				} else {
					got += "n"
					if wait < leastRetryAfter {
						t.Errorf("wait %v", wait)
					}
				}
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if ok, _ := newRateLimit(0, 0).take(start, 1<<30); !ok {
		t.Error("no limit refused")
	}
}
