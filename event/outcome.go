package event

import "time"

// Fate is what became of an event. Every event gets exactly one.
type Fate uint8

// The fates. The zero Fate means not known yet.
const (
	Stored    Fate = iota + 1 // the sink confirmed it
	Journaled                 // fsynced in the local journal
	Received                  // valid and in the mailbox
	Duplicate                 // its id was there before; stored once; a success
	Rejected                  // it can never be accepted as it is
	Failed                    // not stored; sending it again is safe
)

// Fates is the number of fates, for arrays indexed by Fate.
const Fates = int(Failed) + 1

func (f Fate) String() string {
	switch f {
	case Stored:
		return "stored"
	case Journaled:
		return "journaled"
	case Received:
		return "received"
	case Duplicate:
		return "duplicate"
	case Rejected:
		return "rejected"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// Accepted reports whether f counts as a new event that was taken.
func (f Fate) Accepted() bool { return f == Stored || f == Journaled || f == Received }

// The stages an error can come from, as clients and metrics see them.
const (
	StageGateway   = "gateway"
	StageParser    = "parser"
	StageValidator = "validator"
	StageUsers     = "users" // the router in front of the user actors
	StageUser      = "user"
	StageBatcher   = "batcher"
	StageWriter    = "writer"
)

// The codes of reasons and refusals. Clients switch on them: they never change
// their meaning.
const (
	// Of a whole body, or of one event or line.
	CodeInvalidJSON   = "invalid_json"    // not strict JSON; Message says what and where
	CodeNotAnObject   = "not_an_object"   // JSON, but not an object
	CodeTooDeep       = "too_deep"        // nested deeper than max_depth
	CodeEventTooLarge = "event_too_large" // larger than max_event
	CodeEmptyBody     = "empty_body"      // no bytes, or blank lines only
	CodeNoEvents      = "no_events"       // an empty array
	CodeTooManyEvents = "too_many_events" // more than max_events

	// Of one event's fields.
	CodeMissingField    = "missing_field"
	CodeInvalidField    = "invalid_field"
	CodeFutureTS        = "future_ts"
	CodeSchemaViolation = "schema_violation"

	// Of an event that was in order and could not be stored.
	CodeUserLimit       = "user_limit"       // its user has too many events in flight
	CodeSinkUnavailable = "sink_unavailable" // the sink did not take it in time
	CodeSinkRejected    = "sink_rejected"    // the sink will never take it
	CodeQuarantined     = "quarantined"      // handling it failed max_attempts times
	CodeStopped         = "stopped"          // the gateway stopped before its turn

	// Of a request that was turned away at the edge.
	CodeNoCredits      = "no_credits"      // the tenant's budget is in use
	CodeRateLimited    = "rate_limited"    // the tenant's events per second are used up
	CodeDraining       = "draining"        // the gateway is about to stop
	CodeOutcomeUnknown = "outcome_unknown" // the deadline passed before the outcome was known
)

// Reason says why an event was rejected or failed, in words for its sender:
// never a Go error text or a stack.
type Reason struct {
	Code    string
	Stage   string
	Pointer string // JSON Pointer into the event; empty for the whole of it
	Message string
}

// Outcome is the fate of one event of a request.
type Outcome struct {
	ID     string // the event's id, given or assigned; empty where none was found
	Fate   Fate
	Reason *Reason // of Rejected and Failed, otherwise nil
	Where  string  // with receipts: topic/partition/offset, or the table's key
}

// RefusalKind groups refusals by what the client can do about them; the gateway
// maps each to a status in one table.
type RefusalKind uint8

// The kinds of refusal.
const (
	Malformed   RefusalKind = iota + 1 // 400: mend the body
	TooLarge                           // 413: send less; Limit says how much
	Busy                               // 429: come back after RetryAfter
	Unavailable                        // 503: come back after RetryAfter
)

// Refusal turns a whole request away. None of its events was accepted.
type Refusal struct {
	Kind       RefusalKind
	Reason     Reason
	Scope      string        // Busy: tenant, rate or user
	LimitName  string        // TooLarge: the configuration key of the limit
	Limit      int64         // TooLarge: its value
	RetryAfter time.Duration // Busy and Unavailable
}
