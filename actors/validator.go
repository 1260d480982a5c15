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

	items  []messages.Item // of the request in hand
	shards []uint8         // of each item
	counts []int           // of items, by shard
}

// Receive implements actor.Actor.
func (v *validator) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(messages.Validate); ok {
		v.tenant.rehearse(event.StageValidator, ctx)
		v.validate(ctx, m)
	}
}

func (v *validator) validate(ctx actor.Context, m messages.Validate) {
	t := v.tenant
	received := m.Received.UnixMicro()
	v.items, v.shards = v.items[:0], v.shards[:0]
	clear(v.counts)
	for i := range m.Raws {
		raw := &m.Raws[i]
		e, reason := v.validator.Validate(raw, received)
		if reason != nil {
			t.settle(m.Receipt, raw.Index, event.Outcome{ID: raw.ID.Text, Fate: event.Rejected, Reason: reason})
			continue
		}
		shard := shardOf(e.User, len(t.shards))
		v.counts[shard]++
		v.shards = append(v.shards, uint8(shard))
		v.items = append(v.items, messages.Item{Event: e, Receipt: m.Receipt, Index: int32(raw.Index), Where: m.Where})
	}
	t.metrics.ValidatorTime.Observe(time.Since(m.Received).Seconds())
	v.send(ctx)
	if cap(v.items) > 4096 {
		v.items = nil
	}
	clear(v.items)
}

// send hands each shard its items, in the order of the request. They share one
// array: its parts do not overlap.
func (v *validator) send(ctx actor.Context) {
	all := make([]messages.Item, len(v.items))
	start := 0
	for shard, n := range v.counts {
		if n == 0 {
			continue
		}
		part := all[start : start : start+n]
		start += n
		for i := range v.items {
			if int(v.shards[i]) == shard {
				part = append(part, v.items[i])
			}
		}
		ctx.Send(v.tenant.shards[shard], messages.Route{Items: part})
	}
}

// shardOf returns the shard of a user, of n. It is stable while the process runs.
func shardOf(user string, n int) int {
	if n == 1 {
		return 0
	}
	return int(xxh3.HashString(user) % uint64(n))
}
