package actors

import (
	"time"

	"sluice/event"
	"sluice/messages"
)

// BatchPolicy is when a batch is large or old enough to leave.
type BatchPolicy struct {
	MaxEvents int
	MaxBytes  int // of the events; a single larger event is a batch of its own
	// Linger is how long an open batch waits for more while its lane is free.
	// Negative is auto: not at all, and as long as the lane is busy otherwise,
	// so that batches grow with the load by themselves.
	Linger time.Duration
}

// lanes is the batcher without its actor: it sorts events into batches and says
// which may leave. A lane has one batch under way at a time, and what leaves a
// lane leaves in the order in which it was opened, so a retry is never overtaken.
//
//	          append                 full | aged            lane free
//	events ──▶ open (one a Key) ──▶ sealed (first in, first out) ──▶ away ──▶ done
type lanes struct {
	policy BatchPolicy
	byLane map[uint32]*lane
	ready  []*lane         // lanes that may have something to send, each once
	seq    uint64          // of the newest batch
	usual  int             // events of the batch that left last
	spares [][]event.Event // memory of batches that are done, for the next ones
}

type lane struct {
	number uint32
	busy   uint64 // number of the batch under way, 0 for none
	open   []*batch
	sealed []*batch
	queued bool // in lanes.ready
}

// batch is one that has not left yet.
type batch struct {
	messages.Write
	bytes  int
	since  time.Time // when it was opened
	sealed bool
}

func newLanes(policy BatchPolicy) *lanes {
	return &lanes{policy: policy, byLane: make(map[uint32]*lane)}
}

// append adds the events of one user and one partition, in order. It returns the
// batches it has opened, for whoever sets linger timers.
func (l *lanes) append(m messages.Append) (opened []*batch) {
	ln := l.byLane[m.Lane]
	if ln == nil {
		ln = &lane{number: m.Lane}
		l.byLane[m.Lane] = ln
	}
	for i := range m.Items {
		it := &m.Items[i]
		b := ln.find(m.Key)
		if b != nil && len(b.Events) > 0 && b.bytes+len(it.Event.Data) > l.policy.MaxBytes {
			ln.seal(b)
			b = nil
		}
		if b == nil {
			b = l.start(ln, m)
			opened = append(opened, b)
		}
		b.add(m.User, it)
		if len(b.Events) >= l.policy.MaxEvents || b.bytes >= l.policy.MaxBytes {
			ln.seal(b)
		}
	}
	l.offer(ln)
	return opened
}

func (l *lanes) start(ln *lane, m messages.Append) *batch {
	l.seq++
	b := &batch{since: time.Now()}
	b.Seq, b.Lane, b.Key = l.seq, m.Lane, m.Key
	if n := len(l.spares); n > 0 {
		b.Events, l.spares[n-1] = l.spares[n-1], nil
		l.spares = l.spares[:n-1]
	} else {
		b.Events = make([]event.Event, 0, l.usual)
	}
	b.Seqs, b.Groups = make([]uint64, 0, l.usual), make([]messages.Group, 0, l.usual)
	ln.open = append(ln.open, b)
	return b
}

func (b *batch) add(user messages.User, it *messages.Item) {
	at := len(b.Events)
	b.Events = append(b.Events, it.Event)
	b.Seqs = append(b.Seqs, it.Seq)
	b.bytes += len(it.Event.Data)
	b.Where = b.Where || it.Where
	if n := len(b.Groups); n > 0 && b.Groups[n-1].User == user {
		b.Groups[n-1].End = int32(at) + 1
		return
	}
	b.Groups = append(b.Groups, messages.Group{User: user, Start: int32(at), End: int32(at) + 1})
}

func (ln *lane) find(key uint64) *batch {
	for _, b := range ln.open {
		if b.Key == key {
			return b
		}
	}
	return nil
}

// seal closes an open batch: it waits for its turn.
func (ln *lane) seal(b *batch) {
	for i, o := range ln.open {
		if o == b {
			ln.open = append(ln.open[:i], ln.open[i+1:]...)
			break
		}
	}
	b.sealed = true
	ln.sealed = append(ln.sealed, b)
}

func (l *lanes) offer(ln *lane) {
	if !ln.queued && ln.busy == 0 {
		ln.queued = true
		l.ready = append(l.ready, ln)
	}
}

// flush hands what may leave to send, at most one batch a lane.
func (l *lanes) flush(send func(*batch)) {
	for i, ln := range l.ready {
		l.ready[i] = nil
		ln.queued = false
		if ln.busy != 0 {
			continue
		}
		if len(ln.sealed) == 0 && len(ln.open) > 0 && l.policy.Linger <= 0 {
			ln.seal(ln.open[0])
		}
		if len(ln.sealed) == 0 {
			continue
		}
		b := ln.sealed[0]
		ln.sealed[0] = nil
		ln.sealed = ln.sealed[1:]
		ln.busy, l.usual = b.Seq, len(b.Events)
		send(b)
	}
	l.ready = l.ready[:0]
}

// pending reports whether a flush may find something to send.
func (l *lanes) pending() bool { return len(l.ready) > 0 }

// aged seals the batch with number seq if it is still open.
func (l *lanes) aged(number uint32, seq uint64) {
	ln := l.byLane[number]
	if ln == nil {
		return
	}
	for _, b := range ln.open {
		if b.Seq == seq {
			ln.seal(b)
			l.offer(ln)
			return
		}
	}
}

// done frees the lane of the batch with number seq. One that is not under way
// is ignored.
func (l *lanes) done(m messages.BatchDone) {
	ln := l.byLane[m.Lane]
	if ln == nil || ln.busy != m.Seq {
		return
	}
	ln.busy = 0
	if len(l.spares) < maxSpares && cap(m.Spent) >= l.usual {
		l.spares = append(l.spares, m.Spent)
	}
	if len(ln.sealed)+len(ln.open) == 0 {
		if len(l.byLane) > maxIdleLanes {
			delete(l.byLane, m.Lane)
		}
		return
	}
	l.offer(ln)
}

// maxIdleLanes is how many lanes a batcher keeps although they are empty.
const maxIdleLanes = 1024

// maxSpares is how many spent batches a batcher keeps the memory of: those of the
// lanes that usually share it.
const maxSpares = 8
