package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
)

// dropped answers for a message that will not be handled, so that nobody waits
// for it: every event in it gets its outcome, every credit comes back, every
// lane is freed.
func (t *tenant) dropped(stage string, owner, msg any, why drop) {
	reason := t.reason(stage, why)
	if u, ok := owner.(*userState); ok {
		u.dropped(t, msg, reason)
	}
	if b, ok := owner.(*batcherState); ok {
		b.dropped(msg)
	}
	switch m := msg.(type) {
	case messages.Parse:
		m.Receipt.Refuse(&event.Refusal{Kind: event.Unavailable, Reason: *reason, RetryAfter: t.retryAfter()})
	case messages.Validate:
		for i := range m.Raws {
			t.settle(m.Receipt, m.Raws[i].Index, event.Outcome{ID: m.Raws[i].ID.Text, Fate: event.Failed, Reason: reason})
		}
	case messages.Route:
		t.failItems(m.Items, reason)
	case messages.Deliver:
		t.failItems(m.Items, reason)
	case messages.Append:
		seqs := make([]uint64, len(m.Items))
		for i := range m.Items {
			seqs[i] = m.Items[i].Seq
		}
		reasons, rejected := all(reason, len(seqs))
		t.root.Send(t.shards[m.User.Shard], messages.Written{Shard: m.User.Shard,
			Groups: []messages.Group{{User: m.User, End: int32(len(seqs))}}, Seqs: seqs, Reasons: reasons, Rejected: rejected})
	case messages.Write:
		reasons, rejected := all(reason, len(m.Seqs))
		t.report(t.root, m, result{reasons: reasons, rejected: rejected})
	case messages.Written:
		// What a sink has said holds all the same. Its shard has stopped or failed on
		// it, and this may be the goroutine of any writer.
		t.late.Lock()
		defer t.late.Unlock()
		t.land(m)
	case messages.Describe:
		m.Reply <- messages.Description{}
	}
}

// split takes a message with several events apart, into one an event.
func split(msg any) (parts []any) {
	switch m := msg.(type) {
	case messages.Validate:
		for i := range m.Raws {
			one := m
			one.Raws = m.Raws[i : i+1 : i+1]
			parts = append(parts, one)
		}
	case messages.Deliver:
		for i := range m.Items {
			parts = append(parts, messages.Deliver{Items: m.Items[i : i+1 : i+1]})
		}
	case messages.Append:
		for i := range m.Items {
			one := m
			one.Items = m.Items[i : i+1 : i+1]
			parts = append(parts, one)
		}
	case messages.Written:
		for i := range m.Groups {
			if m.Groups[i].User.Shard == m.Shard {
				one := m
				one.Groups = m.Groups[i : i+1 : i+1]
				parts = append(parts, one)
			}
		}
	}
	return parts
}

// reason returns why an event of stage failed.
func (t *tenant) reason(stage string, why drop) *event.Reason {
	r := *t.stopped
	switch why {
	case dropFull:
		r = *t.overflow
	case dropQuarantined:
		r = *t.quarantined
	}
	r.Stage = stage
	return &r
}

func all(reason *event.Reason, n int) ([]*event.Reason, []bool) {
	reasons := make([]*event.Reason, n)
	for i := range reasons {
		reasons[i] = reason
	}
	return reasons, make([]bool, n)
}

// failItems fails those of items that have no fate yet.
func (t *tenant) failItems(items []messages.Item, reason *event.Reason) {
	for i := range items {
		t.settle(items[i].Receipt, int(items[i].Index), event.Outcome{ID: items[i].Event.ID, Fate: event.Failed, Reason: reason})
	}
}

// answerLost hears of messages that reached an actor after its end and answers
// for them like for any other that is dropped.
func (p *Pipeline) answerLost(ev any) {
	lost, ok := ev.(*actor.DeadLetterEvent)
	if !ok || lost.PID == nil {
		return
	}
	if t := p.tenantOf(lost.PID.Id); t != nil {
		t.dropped(event.StageGateway, nil, lost.Message, dropStopped)
	}
}
