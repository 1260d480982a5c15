package cassandra

import (
	"sync"
	"time"
)

const (
	// sickAfter failures in a row, and sickFor without a success, a session is
	// taken to be beyond help. gocql recovers from most faults by itself, but
	// takes most of a minute to notice that a silent connection is dead.
	sickAfter = 5
	sickFor   = 5 * time.Second
)

// health tells a session that has lost its way from a cluster that says no.
// The zero value is well.
type health struct {
	mu       sync.Mutex
	failed   int       // requests in a row that got no answer
	since    time.Time // of the first of them
	answered bool      // any request, since watch
	sick     func()    // called at most once, outside of mu
}

// note takes in how a request ended at a time. An answer, even a refusal, shows
// that the way to the cluster works; what the caller gave up shows nothing.
func (h *health) note(class Class, at time.Time) {
	h.mu.Lock()
	var call func()
	switch class {
	case Cancelled:
	case ClientTimeout, NoConnection:
		if h.failed == 0 {
			h.since = at
		}
		h.failed++
		if h.failed >= sickAfter && at.Sub(h.since) >= sickFor {
			call, h.sick = h.sick, nil
		}
	default:
		h.failed, h.answered = 0, true
	}
	h.mu.Unlock()
	if call != nil {
		call()
	}
}

// well reports whether an answer has come since the last watch, and none has
// failed to come since.
func (h *health) well() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered && h.failed == 0
}

// watch begins anew, with a new session or another attempt at one.
func (h *health) watch(sick func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed, h.answered, h.sick = 0, false, sick
}
