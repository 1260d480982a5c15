package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/zeebo/xxh3"

	"sluice/event"
	"sluice/messages"
)

// validator is the actor that checks the fields of events, answers those that
// are not in order, and sends the others to the shards of their users. It holds
// nothing between messages but memory that it uses again.
type validator struct {
	tenant    *tenant
	validator *event.Validator

	shards []uint8 // of each event of the request in hand
	starts []int   // by shard: where its items begin
	ends   []int   // by shard: where its next item goes
}

// Receive implements actor.Actor.
func (v *validator) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(messages.Validate); ok {
		v.tenant.rehearse(event.StageValidator, ctx)
		v.validate(ctx, m)
	}
}

// validate checks the events, and hands each shard its items in the order of the
// request. The items of all shards share one array; their parts do not overlap.
func (v *validator) validate(ctx actor.Context, m messages.Validate) {
	t := v.tenant
	received := m.Received.UnixMicro()
	v.sort(m.Raws)
	items := make([]messages.Item, len(m.Raws))
	for i := range m.Raws {
		raw := &m.Raws[i]
		e, reason := v.validator.Validate(raw, received)
		if reason != nil {
			t.settle(m.Receipt, raw.Index, event.Outcome{ID: raw.ID.Text, Fate: event.Rejected, Reason: reason})
			continue
		}
		end := &v.ends[v.shards[i]]
		items[*end] = messages.Item{Event: e, Receipt: m.Receipt, Index: int32(raw.Index), Where: m.Where}
		*end++
	}
	t.metrics.ValidatorTime.Observe(time.Since(m.Received).Seconds())
	for shard, start := range v.starts {
		if end := v.ends[shard]; end > start {
			ctx.Send(t.shards[shard], messages.Route{Items: items[start:end:end]})
		}
	}
	event.Recycle(m.Raws) // last: nothing can fail any more, and so come back for them
}

// sort finds the shard of each event, and where the items of each shard begin.
func (v *validator) sort(raws []event.Raw) {
	v.shards = v.shards[:0]
	clear(v.ends)
	for i := range raws {
		shard := shardOf(raws[i].User.Text, len(v.ends))
		v.shards = append(v.shards, uint8(shard))
		v.ends[shard]++
	}
	v.starts = v.starts[:0]
	start := 0
	for shard, n := range v.ends {
		v.starts = append(v.starts, start)
		v.ends[shard] = start
		start += n
	}
}

// shardOf returns the shard of a user, of n. It is stable while the process runs.
func shardOf(user string, n int) int {
	if n == 1 {
		return 0
	}
	return int(xxh3.HashString(user) % uint64(n))
}
