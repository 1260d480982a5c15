package main

import (
	"context"
	"math/rand/v2"
	"time"

	"sluice/event"
)

const (
	// linger is how long a batch waits to be filled when the input is slow.
	linger = 25 * time.Millisecond
	// The wait before a request is repeated, where the gateway does not say.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// sendLane sends the events of some users, one request at a time, in order.
type sendLane struct {
	s    *sender
	in   <-chan *sendItem
	next *sendItem // the first of the next batch
	body sendBody

	progress time.Time // when an event last got a result
	attempts int       // since then
}

func newSendLane(s *sender, in <-chan *sendItem) *sendLane {
	return &sendLane{s: s, in: in, body: sendBody{coding: s.coding}}
}

// run sends until its channel is closed or the sender stops. What it has not
// sent then stays open.
func (l *sendLane) run(ctx context.Context) {
	for !l.s.stopped() {
		batch := l.gather()
		if len(batch) == 0 {
			break
		}
		l.progress, l.attempts = time.Now(), 0
		l.deliver(ctx, batch)
	}
	for range l.in { // the reader may be handing over a last one
	}
}

// gather returns the next batch, empty at the end.
func (l *sendLane) gather() []*sendItem {
	first := l.next
	l.next = nil
	if first == nil {
		select {
		case first = <-l.in:
		case <-l.s.stopping:
		}
		if first == nil {
			return nil
		}
	}
	batch, size := []*sendItem{first}, len(first.data)
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(batch) < l.s.cmd.Batch {
		select {
		case item := <-l.in:
			if item == nil {
				return batch
			}
			if size += len(item.data) + 1; size > int(l.s.cmd.BatchBytes) || item.format != first.format {
				l.next = item
				return batch
			}
			batch = append(batch, item)
		case <-timer.C:
			return batch
		case <-l.s.stopping:
			return batch
		}
	}
	return batch
}

// deliver sends the batch, again where that is safe, until each of its events
// has its result or the sender stops.
func (l *sendLane) deliver(ctx context.Context, batch []*sendItem) {
	for len(batch) > 0 && !l.s.stopped() {
		if !l.mayGo(ctx, len(batch)) || !l.remember(batch) {
			return
		}
		answer := l.s.post(ctx, &l.body, batch)
		left, verdict := l.apply(answer, batch)
		if len(left) < len(batch) {
			l.progress, l.attempts = time.Now(), 0
		}
		batch = left
		switch verdict {
		case sendStop:
			l.s.stop(answer.fatal(l.s.target))
			return
		case sendSplit:
			l.deliver(ctx, batch[:len(batch)/2])
			batch = batch[len(batch)/2:]
			continue
		}
		if len(batch) > 0 {
			l.wait(answer, len(batch))
		}
	}
}

// mayGo waits for the rate limit, and reports whether to go on.
func (l *sendLane) mayGo(ctx context.Context, n int) bool {
	if l.s.cmd.Rate == 0 {
		return true
	}
	r := l.s.limit.ReserveN(time.Now(), n)
	return l.sleep(r.Delay())
}

// remember writes down, before they are sent, which events could be stored
// without our learning of it and must not be sent a second time after a crash.
func (l *sendLane) remember(batch []*sendItem) bool {
	var stores []*sendStore
	for _, item := range batch {
		if item.id != "" {
			continue
		}
		t := item.in.track
		t.mu.Lock()
		item.doubt = true
		t.mu.Unlock()
		if store := item.in.store; store != nil && (len(stores) == 0 || stores[len(stores)-1] != store) {
			stores = append(stores, store)
		}
	}
	for _, store := range stores {
		if err := store.save(); err != nil {
			l.s.stop(err)
			return false
		}
	}
	return true
}

// certain says that the events are not stored: no doubt is left.
func certain(batch []*sendItem) {
	for _, item := range batch {
		if item.id == "" {
			t := item.in.track
			t.mu.Lock()
			item.doubt = false
			t.mu.Unlock()
		}
	}
}

// apply gives each event the result that the answer has for it, and returns
// those that are to be sent again, in order.
func (l *sendLane) apply(a *sendAnswer, batch []*sendItem) ([]*sendItem, sendVerdict) {
	verdict := a.judge(len(batch))
	r := l.s.report
	switch verdict {
	case sendStop:
		if a.status < 500 && a.status != 0 && a.status/100 != 2 {
			certain(batch)
		}
		return batch, verdict
	case sendSplit:
		certain(batch)
		if len(batch) > 1 {
			return batch, verdict
		}
		r.notAccepted(batch[0], "rejected", a.Code, a.Detail)
		return nil, sendTaken
	}
	if a.status == 429 || a.status == 503 {
		r.refused.Add(1)
	}
	named := a.byIndex()
	var left []*sendItem
	for i, item := range batch {
		e, isNamed := named[i]
		switch {
		case isNamed && (e.Outcome == "rejected" || finalCode(e.Code)):
			r.notAccepted(item, e.Outcome, e.Code, e.Message)
		case isNamed && e.Code != event.CodeOutcomeUnknown:
			certain(batch[i : i+1])
			left = append(left, item)
		case !isNamed && verdict == sendTaken:
			r.accepted(item)
		case !isNamed && verdict == sendAgain:
			certain(batch[i : i+1])
			left = append(left, item)
		case item.id != "":
			left = append(left, item)
		default:
			r.notAccepted(item, "failed", event.CodeOutcomeUnknown,
				"whether it is stored is not known ("+a.short()+"), and without an id sending it again could store it twice")
		}
	}
	if verdict == sendTaken {
		r.newAndDuplicates(a.Accepted, a.Duplicates)
	}
	return left, verdict
}

// wait is between an answer and the repetition of n events. It gives up, for
// the whole sender, when there was no progress for too long; before that there
// is a last attempt, however long a wait the answer asks for.
func (l *sendLane) wait(a *sendAnswer, n int) {
	patience := l.s.cmd.GiveUp - time.Since(l.progress)
	if patience <= 0 {
		l.s.stop(&gaveUpError{after: l.s.cmd.GiveUp, last: a.short(), events: n})
		return
	}
	l.attempts++
	delay := min(maxBackoff, minBackoff<<min(l.attempts-1, 10))
	// What the gateway says counts, and nobody should come back at the same moment.
	delay = max(a.retryAfter, delay/2) + time.Duration(rand.Int64N(int64(max(a.retryAfter, delay)/4)+1))
	delay = min(delay, patience)
	l.s.report.retries.Add(1)
	l.s.report.waiting(a.short(), delay)
	l.sleep(delay)
}

// sleep reports false when the sender stopped meanwhile.
func (l *sendLane) sleep(d time.Duration) bool {
	if d <= 0 {
		return !l.s.stopped()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.s.stopping:
		return false
	}
}
