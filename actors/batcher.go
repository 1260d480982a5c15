package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
)

// batcher is the actor around lanes: it groups the events of its partitions into
// batches and gives each to the writer of its lane. What it holds survives its
// restarts.
type batcher struct {
	*batcherState
	tenant *tenant
}

// batcherState outlives the actor's restarts. Owned by the batcher's worker.
type batcherState struct {
	lanes   *lanes
	writers []*actor.PID
	asked   bool // a Flush is on its way
	binding *binding
	worker  *Worker // that the batcher is on
}

// Receive implements actor.Actor.
func (b *batcher) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case messages.Append:
		b.tenant.rehearse(event.StageBatcher, ctx)
		b.append(ctx, m)
	case messages.Flush:
		b.asked = false
		b.flush(ctx)
	case messages.BatchDone:
		b.lanes.done(m)
		b.flush(ctx)
	case messages.Linger:
		b.lanes.aged(m.Lane, m.Seq)
		b.flush(ctx)
	case *actor.Started:
		b.asked = false // a Flush of ours may have been put aside
		b.flush(ctx)
	}
}

// append takes the events in. Nothing leaves before its worker has nothing better
// to do: the events of all requests that are in hand make one batch, however many
// users they are of. So batches grow with the load, and an idle gateway waits for
// nothing.
func (b *batcher) append(ctx actor.Context, m messages.Append) {
	opened := b.lanes.append(m)
	if linger := b.lanes.policy.Linger; linger > 0 {
		for _, o := range opened {
			if !o.sealed {
				b.wake(ctx, linger, messages.Linger{Lane: o.Lane, Seq: o.Seq})
			}
		}
	}
	if b.lanes.pending() && !b.asked {
		b.asked = true
		self, root := ctx.Self(), ctx.ActorSystem().Root
		b.worker.putOff(runFunc(func() { root.Send(self, messages.Flush{}) }))
	}
}

func (b *batcher) wake(ctx actor.Context, after time.Duration, m messages.Linger) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	time.AfterFunc(after, func() { root.Send(self, m) })
}

func (b *batcher) flush(ctx actor.Context) {
	b.lanes.flush(func(o *batch) {
		o.Batcher = ctx.Self()
		b.tenant.metrics.BatcherTime.Observe(time.Since(o.since).Seconds())
		b.binding.metrics.BatchEvents.Observe(float64(len(o.Events)))
		b.binding.metrics.BatchBytes.Observe(float64(o.bytes))
		ctx.Send(b.writers[int(o.Lane)%len(b.writers)], o.Write)
	})
}

// dropped sees to a message that the mailbox has put aside: a lane must not stay
// busy for ever.
func (b *batcherState) dropped(msg any) {
	switch m := msg.(type) {
	case messages.BatchDone:
		b.lanes.done(m)
	case messages.Linger:
		b.lanes.aged(m.Lane, m.Seq)
	}
}
