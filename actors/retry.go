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
	batch  *sinks.Batch // of the next attempt
	index  []int        // of its events in the whole; nil: the same
	result result
	size   int // of the whole
	since  time.Time
	tried  int
	done   bool
}

func newPending(b *sinks.Batch) *pending {
	return &pending{batch: b, size: len(b.Events), since: time.Now(), result: result{where: b.Where}}
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

// settle takes the outcome of one attempt in.
func (a *attempts) settle(p *pending, err error) {
	var partial *sinks.PartialError
	switch {
	case err == nil:
		a.circuit.success()
		p.storedAll()
	case errors.As(err, &partial):
		a.metrics.Partial.Inc()
		a.partial(p, partial)
	case sinks.IsPermanent(err):
		a.metrics.Permanent.Inc()
		a.circuit.log.Error("sink refused a batch for good", "events", len(p.batch.Events), "error", err)
		p.failRest(a.refused, true)
	default:
		a.metrics.Retryable.Inc()
		a.circuit.failure(err)
	}
}

// partial keeps for the next attempt what may still be stored.
func (a *attempts) partial(p *pending, partial *sinks.PartialError) {
	again := &sinks.Batch{Partition: p.batch.Partition}
	var index []int
	var why, refusal error
	for i := range p.batch.Events {
		at := p.at(i)
		switch err := partial.Failed[i]; {
		case err == nil:
			if p.batch.Where != nil {
				p.result.where[at] = p.batch.Where[i]
			}
		case sinks.IsPermanent(err):
			refusal = err
			p.fail(at, a.refused, true)
		default:
			why = err
			again.Events = append(again.Events, p.batch.Events[i])
			index = append(index, at)
		}
	}
	if refusal != nil {
		a.circuit.log.Error("sink refused events for good", "error", refusal)
	}
	if len(again.Events) == 0 {
		a.circuit.success()
		p.done = true
		return
	}
	a.circuit.failure(why)
	if p.batch.Where != nil {
		again.Where = make([]string, len(again.Events))
	}
	p.batch, p.index = again, index
}

func (a *attempts) pause(ctx context.Context, tried int) {
	t := time.NewTimer(jittered(exponential(a.policy.Min, a.policy.Max, tried)))
	defer t.Stop()
	if a.circuit.ready() {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		return
	}
	select {
	case <-ctx.Done():
	case <-a.circuit.recovered():
	case <-t.C:
	}
}

// at returns the place in the whole of event i of the current attempt.
func (p *pending) at(i int) int {
	if p.index == nil {
		return i
	}
	return p.index[i]
}

func (p *pending) storedAll() {
	if p.index != nil && p.batch.Where != nil {
		for i, where := range p.batch.Where {
			p.result.where[p.index[i]] = where
		}
	}
	p.done = true
}

func (p *pending) fail(at int, reason *event.Reason, rejected bool) {
	if p.result.reasons == nil {
		p.result.reasons = make([]*event.Reason, p.size)
		p.result.rejected = make([]bool, p.size)
	}
	p.result.reasons[at], p.result.rejected[at] = reason, rejected
}

func (p *pending) failRest(reason *event.Reason, rejected bool) {
	for i := range p.batch.Events {
		p.fail(p.at(i), reason, rejected)
	}
	p.done = true
}
