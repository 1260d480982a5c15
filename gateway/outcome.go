package gateway

import (
	"fmt"
	"time"

	"sluice/event"
)

// This file is the one table from what became of a request to HTTP:
//
//	refused as Malformed                          400
//	           TooLarge                           413 and the limit
//	           Busy                               429 and when to come back
//	           Unavailable                        503 and when to come back
//	every event accepted or a duplicate           200 stored · 202 journaled, received
//	some accepted, some not                       207
//	none, and some failed
//	     all of those by their user's cap         429, scope user
//	     otherwise                                503
//	none, all rejected
//	     all as malformed                         400
//	     all as larger than max_event             413
//	     otherwise                                422
//	no outcome within request_timeout             503 outcome_unknown

// tally counts the outcomes of one request.
type tally struct {
	accepted, duplicates, rejected, failed int

	malformed int // of the rejected: not JSON, not an object, too deep
	tooLarge  int // of the rejected: larger than max_event
	capped    int // of the failed: by their user's cap

	asked   event.Ack     // the level that was asked for
	weakest event.Ack     // the level reached by the accepted; 0 when there are none
	first   *event.Reason // of the first event that was not accepted
	mixed   bool          // the failed have more than one code
	failing string        // the code of the failed
}

func count(asked event.Ack, outcomes []event.Outcome) tally {
	t := tally{asked: asked}
	for i := range outcomes {
		o := &outcomes[i]
		switch o.Fate {
		case event.Stored:
			t.accept(event.AckStored)
		case event.Journaled:
			t.accept(event.AckJournaled)
		case event.Received:
			t.accept(event.AckReceived)
		case event.Duplicate:
			t.duplicates++
		case event.Rejected:
			t.reject(o.Reason)
		default:
			t.fail(o.Reason)
		}
	}
	return t
}

func (t *tally) accept(level event.Ack) {
	t.accepted++
	if t.weakest == 0 || level < t.weakest {
		t.weakest = level
	}
}

func (t *tally) reject(r *event.Reason) {
	t.rejected++
	if r == nil {
		r = &unexplained
	}
	if t.first == nil {
		t.first = r
	}
	switch r.Code {
	case event.CodeInvalidJSON, event.CodeNotAnObject, event.CodeTooDeep, event.CodeEmptyBody, event.CodeNoEvents:
		t.malformed++
	case event.CodeEventTooLarge:
		t.tooLarge++
	}
}

func (t *tally) fail(r *event.Reason) {
	t.failed++
	if r == nil {
		r = &unexplained
	}
	if t.failed == 1 {
		t.failing = r.Code
	}
	t.mixed = t.mixed || r.Code != t.failing
	if r.Code == event.CodeUserLimit {
		t.capped++
	}
}

// ack is the level that holds for every event of the request that was taken.
func (t *tally) ack() event.Ack {
	if t.weakest == 0 {
		return t.asked // duplicates only: they have what was asked for
	}
	return t.weakest
}

// status returns the status of the answer and, when it is not a success of any
// kind, the problem.
func (t *tally) status(limits *Limits, outcomes []event.Outcome, retryAfter func() time.Duration) (int, *problem) {
	if t.accepted+t.duplicates > 0 {
		switch {
		case t.rejected+t.failed > 0:
			return 207, nil
		case t.ack() == event.AckStored:
			return 200, nil
		default:
			return 202, nil
		}
	}
	p := &problem{outcomes: outcomes}
	switch {
	case t.failed > 0 && t.capped == t.failed:
		p.status, p.code, p.scope, p.retryAfter = 429, event.CodeUserLimit, "user", retryAfter()
		p.detail = fmt.Sprintf("%s refused: their users have as many events in flight as they may.", events(t.failed))
	case t.failed > 0:
		p.status, p.code, p.retryAfter = 503, t.failing, retryAfter()
		if t.mixed || p.code == "" {
			p.code = event.CodeSinkUnavailable
		}
		p.detail = fmt.Sprintf("%s not stored; errors says why. Sending the same events again is safe.", events(t.failed))
	case t.malformed == t.rejected:
		p.status, p.code, p.detail = 400, t.first.Code, t.first.Message
		if p.code == event.CodeTooDeep {
			p.limitName, p.limit = "max_depth", int64(limits.MaxDepth)
		}
	case t.tooLarge == t.rejected:
		p.status, p.code = 413, event.CodeEventTooLarge
		p.limitName, p.limit = "max_event", int64(limits.MaxEvent)
		p.detail = fmt.Sprintf("%s larger than max_event, which is %d bytes.", events(t.rejected), limits.MaxEvent)
	default:
		p.status, p.code = 422, CodeValidationFailed
		p.detail = fmt.Sprintf("%s rejected; errors says why.", events(t.rejected))
	}
	return p.status, p
}

// events begins a sentence about n events.
func events(n int) string {
	if n == 1 {
		return "The event was"
	}
	return fmt.Sprintf("%d events were", n)
}

// refused is the problem of a request that the pipeline turned away.
func refused(f *event.Refusal, retryAfter func() time.Duration) *problem {
	p := &problem{code: f.Reason.Code, detail: f.Reason.Message, scope: f.Scope}
	switch f.Kind {
	case event.Malformed:
		p.status = 400
	case event.TooLarge:
		p.status, p.limitName, p.limit = 413, f.LimitName, f.Limit
	case event.Busy, event.Unavailable:
		p.status = 429
		if f.Kind == event.Unavailable {
			p.status = 503
		}
		if p.retryAfter = f.RetryAfter; p.retryAfter <= 0 {
			p.retryAfter = retryAfter()
		}
		p.close = f.Reason.Code == event.CodeDraining
	default:
		p.status, p.code, p.detail = 500, CodeInternal, "The gateway failed. Nothing of the request was accepted."
	}
	if f.Reason.Pointer != "" {
		p.detail += " (at " + f.Reason.Pointer + ")"
	}
	return p
}

// unknownOutcome is the problem of a request whose outcome is not known within
// request_timeout. Its events go on through the pipeline, and their credits
// come back by themselves.
func unknownOutcome(timeout, retryAfter time.Duration) *problem {
	return &problem{status: 503, code: event.CodeOutcomeUnknown, retryAfter: retryAfter,
		detail: fmt.Sprintf("The events were taken, but whether they are stored was not known in time (at most %s). "+
			"Sending the same events with the same ids again is safe.", timeout)}
}
