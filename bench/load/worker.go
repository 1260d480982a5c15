package load

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"sluice/bench/ledger"
)

// A worker is one connection. It owns everything in it but what is atomic, and
// its claim while it waits, which its lane reads.
type worker struct {
	run   *runner
	lane  *lane
	shard *shard
	wire  *wire
	w     *writer
	id    int

	claim claim
	wake  chan bool // true: the claim is due; false: it never will be

	// When the request under way was sent, in time since the start of the run; 0
	// when there is none; negated when the watchdog has cut the connection for it.
	since atomic.Int64

	used  time.Duration // when the connection had its last answer
	doubt bool          // an attempt of the request under way may have got through

	entries []ledger.Entry // nil unless they are kept
	answer  answer
	rec     record
}

// loop sends until there is nothing more to send.
func (w *worker) loop(ctx context.Context) {
	defer w.wire.down()
	now := w.run.now()
	for {
		if !w.run.plan.NewConn && !w.wire.up() && !w.reconnect(ctx) {
			return
		}
		ready, ok := w.lane.take(w, now)
		if !ok {
			return
		}
		if !ready {
			if !<-w.wake {
				return
			}
		}
		now = w.send(ctx)
	}
}

// reconnect connects, with patience. It reports false when the run is over.
func (w *worker) reconnect(ctx context.Context) bool {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if w.wire.dial(ctx) == nil {
			return true
		}
		if !w.run.pause(ctx, pause) {
			return false
		}
	}
}

// send sends the request of the claim, and returns when that was over.
func (w *worker) send(ctx context.Context) time.Duration {
	run := w.run
	w.w.build(run.now())
	batch := uint64(run.plan.Events.Batch)
	r := &w.rec
	*r = record{phase: w.claim.phase, tally: tally{sent: batch}}
	if w.entries != nil {
		w.enter()
	}
	begin := run.now()
	if run.plan.Open == nil {
		w.claim.due = begin
	}
	if w.claim.waited {
		r.waited, r.late = true, begin-w.claim.due
	}
	now := begin
	w.doubt = false
	for {
		err := w.attempt(ctx, now)
		if now = run.now(); err == nil {
			w.used = now
		}
		if again, after := w.again(err); again && run.pause(ctx, after) {
			continue
		}
		r.latency = now - w.claim.due
		w.judge(err)
		break
	}
	w.shard.add(r)
	return now
}

// attempt sends the request and reads the answer into w.answer.
func (w *worker) attempt(ctx context.Context, now time.Duration) error {
	idle := w.wire.up() && now-w.used > staleAfter
	err := w.once(ctx, now)
	if err != nil && idle && w.wire.unheard(err) {
		err = w.once(ctx, now)
	}
	return err
}

// staleAfter is how long a connection may be silent until its server is likely to
// close it. As every client does, the generator then sends the request again on a
// new one, if there was no answer at all.
const staleAfter = time.Second

func (w *worker) once(ctx context.Context, now time.Duration) error {
	if !w.wire.up() {
		if err := w.wire.dial(ctx); err != nil {
			return &connectError{w.wire.target.Address, err}
		}
	}
	w.rec.tally.requests++
	w.rec.tally.bytes += uint64(w.w.bytes)
	w.since.Store(max(int64(now), 1))
	err := w.wire.roundTrip(w.w.out, &w.answer)
	cut := w.since.Swap(0) < 0
	if err != nil || cut || w.answer.close || w.run.plan.NewConn {
		w.wire.down()
	}
	w.doubt = w.doubt || err != nil
	return err
}

// again says whether the request is to be sent once more, and after how long.
func (w *worker) again(err error) (bool, time.Duration) {
	if !w.run.plan.Retry {
		return false, 0
	}
	switch {
	case unreachable(err):
		return true, 100 * time.Millisecond
	case err != nil:
		return true, 10 * time.Millisecond // its outcome is not known: the same ids
	case w.answer.status != 429 && w.answer.status != 503:
		return false, 0
	case w.answer.retryAfter >= 0:
		return true, time.Duration(w.answer.retryAfter) * time.Second
	}
	return true, time.Second
}

// unreachable reports whether nothing was sent because there was no connection.
func unreachable(err error) bool {
	if err == nil {
		return false // what errors.As is given would be allocated
	}
	var e *connectError
	return errors.As(err, &e)
}

// judge counts what became of the events of the request.
func (w *worker) judge(err error) {
	r := &w.rec
	batch := uint64(len(w.w.sent.n))
	switch {
	case unreachable(err) && r.tally.requests == 0:
		r.tally.sent, r.tally.unsent = 0, batch
		w.outcome(ledger.Unsent)
		return
	case err != nil:
		r.tally.unknown, r.timed = batch, true
		w.outcome(ledger.Unknown)
		return
	case w.answer.status/100 == 2:
		r.timed = true
		w.judgeSuccess(batch)
		return
	}
	w.judgeProblem(batch)
}

func (w *worker) judgeSuccess(batch uint64) {
	r := &w.rec
	c, ok := readCounts(w.answer.body)
	if !ok || uint64(c.accepted+c.duplicates+c.rejected+c.failed) != batch {
		// Not sluice: a 2xx speaks for all events, but for those that a
		// Collector says it did not take.
		rejected := uint64(0)
		if w.run.plan.Events.Format == OTLP {
			e := explain(w.answer.body)
			n, _ := e.Partial.Rejected.Int64()
			rejected = min(uint64(max(n, 0)), batch)
		}
		r.tally.accepted, r.tally.rejected = batch-rejected, rejected
		w.outcome(ledger.Accepted)
		return
	}
	r.tally.accepted, r.tally.duplicates = uint64(c.accepted), uint64(c.duplicates)
	r.tally.rejected, r.tally.failed = uint64(c.rejected), uint64(c.failed)
	if c.accepted == 0 && c.duplicates > 0 {
		w.outcome(ledger.Duplicate)
	} else {
		w.outcome(ledger.Accepted)
	}
	if c.rejected+c.failed == 0 {
		w.w.accepted()
	} else if w.entries != nil {
		w.single(explain(w.answer.body))
	}
}

// judgeProblem counts a request that was refused. An answer that no event of it is
// valid is about the events; any other is about the request.
func (w *worker) judgeProblem(batch uint64) {
	r := &w.rec
	w.outcome(ledger.Refused)
	r.status, r.refused = w.answer.status, batch
	switch w.answer.status {
	case 400, 413, 422:
		e := explain(w.answer.body)
		r.code = []byte(e.Code)
		for _, x := range e.Errors {
			switch {
			case r.refused == 0:
			case x.Outcome == "failed":
				r.tally.failed++
				r.refused--
			default:
				r.tally.rejected++
				r.refused--
			}
		}
		if w.entries != nil {
			w.single(e)
		}
	case 503:
		r.code = problemCode(w.answer.body)
		w.doubt = w.doubt || string(r.code) == "outcome_unknown"
	default:
		r.code = problemCode(w.answer.body)
	}
	if w.doubt {
		w.outcome(ledger.Unknown) // it may be stored all the same
	}
}

// enter makes entries of the events of a request that were not sent before.
func (w *worker) enter() {
	for i, n := range w.w.sent.n {
		if n >= 0 {
			w.entries = append(w.entries, ledger.Entry{User: w.w.sent.user[i]})
		}
	}
}

// outcome sets the outcome of all new events of the request.
func (w *worker) outcome(o ledger.Outcome) {
	if w.entries == nil {
		return
	}
	for _, n := range w.w.sent.n {
		if n >= 0 {
			w.entries[n].Outcome = o
		}
	}
}

// single sets the outcomes of events that an answer names.
func (w *worker) single(e explanation) {
	for _, x := range e.Errors {
		if x.Index < 0 || x.Index >= len(w.w.sent.n) || w.w.sent.n[x.Index] < 0 {
			continue
		}
		o := ledger.Rejected
		if x.Outcome == "failed" {
			o = ledger.Failed
		}
		w.entries[w.w.sent.n[x.Index]].Outcome = o
	}
}
