package gateway

import (
	"fmt"

	"sluice/event"
)

const ingestParams = "ack and receipts"

// plan is what the header of a POST says about its body and its answer.
type plan struct {
	format   event.Format
	coding   coding
	length   int // Content-Length; -1 when chunked
	ack      event.Ack
	receipts bool
}

// ingest is POST /v1/events.
func (x *exchange) ingest(params []param) *problem {
	p, bad := x.plan(params)
	if bad != nil {
		return bad
	}
	body, bad := x.readBody(&p)
	if bad != nil {
		return bad
	}
	// A draining gateway answers what it has, and no longer invites more.
	if x.srv.draining.Load() {
		return x.drained()
	}
	receipt := x.tenant.Intake.Submit(event.Request{Body: body, Format: p.format, Ack: p.ack,
		Where: p.receipts, Reserved: x.held, Received: x.ctx.Time()})
	x.held = 0 // the pipeline gives it back
	if !x.await(receipt.Done()) {
		bad = unknownOutcome(x.srv.opts.RequestTimeout, x.tenant.Intake.RetryAfter())
		bad.close = x.srv.draining.Load()
		return bad
	}
	if f := receipt.Refusal(); f != nil {
		return refused(f, x.tenant.Intake.RetryAfter)
	}
	outcomes := receipt.Outcomes()
	t := count(p.ack, outcomes)
	status, bad := t.status(&x.table.limits, outcomes, x.tenant.Intake.RetryAfter)
	if bad != nil {
		return bad
	}
	x.answer(status, typeJSON, appendAnswer(x.scratch[:0], &t, outcomes, p.receipts))
	return nil
}

// plan checks everything that can be checked without the body.
func (x *exchange) plan(params []param) (plan, *problem) {
	p := plan{ack: x.tenant.DefaultAck}
	if x.srv.draining.Load() {
		return p, x.drained()
	}
	for _, param := range params {
		var bad *problem
		switch param.name {
		case "ack":
			p.ack, bad = x.ack(param.value)
		case "receipts":
			p.receipts, bad = parseFlag(param)
		default:
			bad = unknown(param.name, ingestParams)
		}
		if bad != nil {
			return p, bad
		}
	}
	h := &x.ctx.Request.Header
	var flaw string
	if p.format, flaw = parseContentType(h.ContentType()); flaw != "" {
		return p, &problem{status: 415, code: CodeUnsupportedType, accepts: true,
			detail: flaw + " Understood are " + acceptPost + "."}
	}
	if p.coding, flaw = x.contentEncoding(); flaw != "" {
		return p, &problem{status: 415, code: CodeUnsupportedCode, accepts: true,
			detail: flaw + " Understood are " + acceptEncoding + "."}
	}
	p.length = max(-1, h.ContentLength())
	if h.ContentLength() == -2 {
		p.length = 0 // neither Content-Length nor chunked: there is no body
	}
	if limit := x.table.limits.MaxBody; p.length > limit {
		return p, bodyTooLarge(limit, "")
	}
	return p, nil
}

func (x *exchange) contentEncoding() (coding, string) {
	switch x.head.contentEncoding {
	case 0:
		return identity, ""
	case 1:
		return parseContentEncoding(x.ctx.Request.Header.Peek("Content-Encoding"))
	}
	return 0, "Content-Encoding was sent more than once."
}

// ack checks the level that ?ack= asks for.
func (x *exchange) ack(name string) (event.Ack, *problem) {
	a, ok := event.ParseAck(name)
	switch {
	case !ok:
		return 0, invalid("ack is %s; it must be stored or received.", quoted(name))
	case a == event.AckJournaled:
		return 0, &problem{status: 400, code: CodeAckUnavailable,
			detail: "ack=journaled needs the journal, which this version does not have. Use ack=stored, or ack=received where the tenant allows it."}
	case a < x.tenant.WeakestAck:
		return 0, &problem{status: 403, code: CodeAckNotAllowed,
			detail: fmt.Sprintf("ack=%s is weaker than this tenant allows, which is %s.", a, x.tenant.WeakestAck)}
	}
	return a, nil
}

func parseFlag(p param) (bool, *problem) {
	switch p.value {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, invalid("%s is %s; it must be 1 or 0.", p.name, quoted(p.value))
}

func (x *exchange) drained() *problem {
	return &problem{status: 503, code: event.CodeDraining, retryAfter: x.tenant.Intake.RetryAfter(), close: true,
		detail: "The gateway is about to stop and takes no new events. Nothing of the request was accepted."}
}

// await waits for done, for request_timeout or for the end of a shutdown that
// ran out of time. A client that goes away meanwhile changes nothing: its
// events have their outcome, and the answer goes nowhere.
func (x *exchange) await(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		return true
	case <-x.srv.patience.begin():
		return false
	}
}
