package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
)

// parser is the actor that takes the events out of request bodies. It counts
// them, reserves credits for them, answers what is not an event and hands the
// rest to the validators. It holds nothing between messages.
type parser struct {
	tenant *tenant
	parser *event.Parser
	turn   uint // of the validators
}

// Receive implements actor.Actor.
func (p *parser) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(messages.Parse); ok {
		p.tenant.rehearse(event.StageParser, ctx)
		p.parse(ctx, m)
	}
}

func (p *parser) parse(ctx actor.Context, m messages.Parse) {
	t := p.tenant
	raws, rejects, refusal := p.parser.Parse(m.Request.Body, m.Request.Format)
	if refusal == nil {
		refusal = p.admit(m.Receipt, len(raws)+len(rejects))
	}
	t.metrics.ParserTime.Observe(time.Since(m.Request.Received).Seconds())
	if refusal != nil {
		m.Receipt.Refuse(refusal)
		return
	}
	for i := range rejects {
		r := &rejects[i]
		t.settle(m.Receipt, r.Index, event.Outcome{ID: r.ID, Fate: event.Rejected, Reason: &r.Reason})
	}
	if len(raws) == 0 {
		return
	}
	p.turn++
	ctx.Send(t.validators[p.turn%uint(len(t.validators))], messages.Validate{
		Raws: raws, Receipt: m.Receipt, Received: m.Request.Received, Where: m.Request.Where,
	})
}

// admit reserves credits for n events, or says why they cannot be taken.
func (p *parser) admit(r *event.Receipt, n int) *event.Refusal {
	t := p.tenant
	if int64(n) > t.credits.maxEvents {
		return &event.Refusal{Kind: event.TooLarge, LimitName: "budget.events", Limit: t.credits.maxEvents,
			Reason: event.Reason{Code: event.CodeTooManyEvents, Stage: event.StageParser, Message: "the request holds more events than the tenant may have in flight: send them in several"}}
	}
	if !t.credits.reserveEvents(n) {
		return t.noCredits(event.StageParser, "events")
	}
	if ok, wait := t.rate.take(time.Now(), n); !ok {
		t.credits.events.Add(int64(-n))
		return &event.Refusal{Kind: event.Busy, Scope: "rate", RetryAfter: wait,
			Reason: event.Reason{Code: event.CodeRateLimited, Stage: event.StageParser, Message: "the tenant's rate of events a second is used up"}}
	}
	if !r.Expect(n) {
		t.credits.events.Add(int64(-n)) // counted before: this message is handled for the second time
	}
	return nil
}

func (t *tenant) noCredits(stage, unit string) *event.Refusal {
	return &event.Refusal{Kind: event.Busy, Scope: "tenant", RetryAfter: t.retryAfter(),
		Reason: event.Reason{Code: event.CodeNoCredits, Stage: stage, Message: "the tenant's budget of " + unit + " in flight is in use"}}
}
