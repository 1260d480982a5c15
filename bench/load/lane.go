package load

import (
	"sync"
	"time"
)

// A lane is one tenant's part of the load: its connections, and in an open loop
// the schedule that they take their requests from. Whichever connection is free
// takes the next slot; one that is free before the slot is due waits for it.
type lane struct {
	tenant  Tenant
	workers []*worker
	shards  []*shard

	mu       sync.Mutex
	schedule schedule // nil: a closed loop
	left     uint64   // requests of a closed loop, if limited
	limited  bool
	closed   bool          // no request may begin any more
	last     time.Duration // and of those that were due only those up to then
	waiting  queue         // connections with a slot that is not due yet, in the order of their slots
	begun    time.Duration // when the last slot that was taken was due
}

// A claim is a slot that a connection has.
type claim struct {
	slot
	waited bool // the connection was free before it was due
}

// take gives the worker the next slot. It reports false when there is none and
// there will be none. When the slot is not due yet the worker has to wait until
// it is woken; w.claim is the slot then.
func (l *lane) take(w *worker, now time.Duration) (ready, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && l.schedule == nil {
		return false, false
	}
	if l.schedule == nil {
		return true, l.takeClosed(w, now)
	}
	l.wakeDue(now) // whoever has the time at hand wakes those that are due
	s, ok := l.schedule.next()
	if !ok || l.closed && s.due > l.last {
		return false, false
	}
	l.begun = s.due
	w.claim = claim{slot: s, waited: s.due > now}
	if s.due <= now {
		return true, true
	}
	if l.waiting.empty() {
		w.run.wakeBy(s.due)
	}
	l.waiting.push(w)
	return false, true
}

func (l *lane) takeClosed(w *worker, now time.Duration) bool {
	if l.limited {
		if l.left == 0 {
			return false
		}
		l.left--
	}
	w.claim = claim{slot: slot{due: now, phase: w.run.phaseAt(now)}}
	return true
}

// release wakes the connections whose slots are due and returns when the next
// one is.
func (l *lane) release(now time.Duration) (next time.Duration, any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wakeDue(now)
}

func (l *lane) wakeDue(now time.Duration) (next time.Duration, any bool) {
	for !l.waiting.empty() {
		w := l.waiting.head()
		if w.claim.due > now {
			return w.claim.due, true
		}
		l.waiting.pop()
		w.wake <- true // it waits, or will: the channel has room for this one
	}
	return 0, false
}

// grace is how far behind a lane may be at the end and still send what was due. One
// that is further behind cannot keep up with its schedule and stops at once.
const grace = 100 * time.Millisecond

// close lets nothing begin that is due later than end.
func (l *lane) close(end time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.last = true, end
	if l.waiting.empty() && l.begun < end-grace {
		l.last = -1
	}
	for !l.waiting.empty() {
		w := l.waiting.head()
		l.waiting.pop()
		w.wake <- w.claim.due <= l.last
	}
}

// queue is a ring of workers that has room for all of them.
type queue struct {
	ring []*worker
	at   int
	n    int
}

func newQueue(n int) queue { return queue{ring: make([]*worker, n)} }

func (q *queue) empty() bool   { return q.n == 0 }
func (q *queue) head() *worker { return q.ring[q.at] }

func (q *queue) push(w *worker) {
	i := q.at + q.n
	if i >= len(q.ring) {
		i -= len(q.ring)
	}
	q.ring[i] = w
	q.n++
}

func (q *queue) pop() {
	q.ring[q.at] = nil
	if q.at++; q.at == len(q.ring) {
		q.at = 0
	}
	q.n--
}
