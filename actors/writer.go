package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
	"sluice/sinks"
)

// writer is the only actor that blocks on I/O: it writes one batch at a time,
// tries again as its policy says, and tells every user what became of its events
// and the batcher that the lane is free. It has a worker of its own.
type writer struct {
	*writerState
	tenant *tenant
}

// writerState outlives the actor's restarts: a batch that was under way when
// the actor failed goes on where it was, as the same batch to the sink.
type writerState struct {
	binding *binding
	ctx     context.Context // over when the pipeline gives up what is in flight

	batcher *actor.PID // of the batch under way; nil for none
	seq     uint64
	pending *pending
}

// Receive implements actor.Actor.
func (w *writer) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(messages.Write); ok {
		w.tenant.rehearse(event.StageWriter, ctx)
		w.write(ctx, m)
	}
}

func (w *writer) write(ctx actor.Context, m messages.Write) {
	start := time.Now()
	p := w.begin(&m)
	w.binding.attempts.run(w.ctx, p)
	w.batcher, w.pending = nil, nil
	w.tenant.metrics.WriterTime.Observe(time.Since(start).Seconds())
	w.tenant.report(ctx, m, p.result)
}

// begin returns the state of m: the one it had if the actor failed on it before.
func (w *writerState) begin(m *messages.Write) *pending {
	if w.pending != nil && w.batcher == m.Batcher && w.seq == m.Seq {
		return w.pending
	}
	b := &sinks.Batch{Partition: sinks.Partition{Lane: m.Lane, Key: m.Key}, Events: m.Events}
	if m.Where {
		b.Where = make([]string, len(m.Events))
	}
	w.batcher, w.seq, w.pending = m.Batcher, m.Seq, newPending(b)
	return w.pending
}

// report tells the shards of a batch's users what became of it, then its batcher
// that it is done.
func (t *tenant) report(ctx actor.SenderContext, m messages.Write, r result) {
	w := messages.Written{Groups: m.Groups, Seqs: m.Seqs, Reasons: r.reasons, Rejected: r.rejected, Where: r.where}
	var told [maxShards]bool
	for i := range m.Groups {
		w.Shard = m.Groups[i].User.Shard
		if !told[w.Shard] {
			told[w.Shard] = true
			ctx.Send(t.shards[w.Shard], w)
		}
	}
	clear(m.Events)
	ctx.Send(m.Batcher, messages.BatchDone{Lane: m.Lane, Seq: m.Seq, Spent: m.Events[:0]})
}
