package actors

import (
	"context"
	"errors"
	"time"

	"sluice/event"
	"sluice/metrics"
	"sluice/sinks"
)

// RetryPolicy is how long a writer tries to write a batch.
type RetryPolicy struct {
	Min, Max time.Duration // pauses between attempts: doubling, jittered
	GiveUp   time.Duration // after which what is not stored fails
	Timeout  time.Duration // of one attempt
}

// attempts writes batches to one sink, with retries: the only place where
// anything is tried again against a sink.
type attempts struct {
	sink    sinks.Sink
	policy  RetryPolicy
	circuit *circuit
	metrics *metrics.Sink
	// Reasons are made once: they say the same of every event.
	unavailable, refused *event.Reason
}

// result is what became of a batch, by index into its events.
type result struct {
	reasons  []*event.Reason // nil: all stored; an element is nil where stored
	rejected []bool
	where    []string
}

// pending is a batch between its first attempt and its result. It is kept
// outside the writer's actor: a restart in the middle goes on with it.
type pending struct {
	batch  *sinks.Batch
	since  time.Time
	tried  int
	done   bool
	stored []bool // by an earlier attempt; nil: none
	result result
}

func newPending(b *sinks.Batch) *pending {
	return &pending{batch: b, since: time.Now(), result: result{where: b.Where}}
}

// run tries until every event of p has its outcome: at the latest after GiveUp,
// or when ctx is over.
func (a *attempts) run(ctx context.Context, p *pending) {
	for !p.done {
		if p.tried > 0 {
			a.metrics.Retries.Inc()
		}
		p.tried++
		a.settle(p, a.once(ctx, p.batch))
		if p.done {
			return
		}
		if ctx.Err() != nil || time.Since(p.since) >= a.policy.GiveUp {
			p.failRest(a.unavailable, false)
			return
		}
		a.pause(ctx, p.tried)
	}
}

func (a *attempts) once(ctx context.Context, b *sinks.Batch) error {
	within, cancel := context.WithTimeout(ctx, a.policy.Timeout)
	defer cancel()
	start := time.Now()
	err := a.sink.Write(within, b)
	a.metrics.WriteTime.Observe(time.Since(start).Seconds())
	return err
}

// settle takes the outcome of one attempt in. What is stored once stays stored;
// of the rest the newest attempt is right.
func (a *attempts) settle(p *pending, err error) {
	p.result.reasons, p.result.rejected = nil, nil
	var partial *sinks.PartialError
	switch {
	case err == nil:
		a.circuit.success()
		p.done = true
	case errors.As(err, &partial):
		a.metrics.Partial.Inc()
		a.partial(p, partial)
	case sinks.IsPermanent(err):
		a.metrics.Permanent.Inc()
		a.circuit.log.Error("sink refused a batch for good", "events", len(p.batch.Events), "error", err)
		p.failRest(a.refused, true)
	default:
		a.metrics.Retryable.Inc()
		if !errors.Is(err, context.Canceled) { // we gave up, which says nothing about the sink
			a.circuit.failure(err)
		}
	}
}

// partial notes what is stored and what never will be. The batch is done unless
// something in it may still be stored.
func (a *attempts) partial(p *pending, partial *sinks.PartialError) {
	if p.stored == nil {
		p.stored = make([]bool, len(p.batch.Events))
	}
	var again, refusal error
	for i := range p.batch.Events {
		switch err := partial.Failed[i]; {
		case err == nil:
			p.stored[i] = true
		case p.stored[i]:
		case sinks.IsPermanent(err):
			refusal = err
			p.fail(i, a.refused, true)
		default:
			again = err
		}
	}
	if refusal != nil {
		a.circuit.log.Error("sink refused events for good", "error", refusal)
	}
	if again != nil {
		a.circuit.failure(again)
		return
	}
	a.circuit.success()
	p.done = true
}

func (a *attempts) pause(ctx context.Context, tried int) {
	t := time.NewTimer(jittered(exponential(a.policy.Min, a.policy.Max, tried)))
	defer t.Stop()
	var recovered <-chan struct{} // nil, and so never, while the circuit is ready
	if !a.circuit.ready() {
		recovered = a.circuit.recovered()
	}
	select {
	case <-ctx.Done():
	case <-recovered:
	case <-t.C:
	}
}

func (p *pending) fail(i int, reason *event.Reason, rejected bool) {
	if p.result.reasons == nil {
		p.result.reasons = make([]*event.Reason, len(p.batch.Events))
		p.result.rejected = make([]bool, len(p.batch.Events))
	}
	p.result.reasons[i], p.result.rejected[i] = reason, rejected
}

// failRest ends the batch: what is not stored, nor refused for good, fails.
func (p *pending) failRest(reason *event.Reason, rejected bool) {
	for i := range p.batch.Events {
		if (p.stored == nil || !p.stored[i]) && (p.result.reasons == nil || p.result.reasons[i] == nil) {
			p.fail(i, reason, rejected)
		}
	}
	p.done = true
}
