package gateway

import (
	"strconv"
	"time"

	"sluice/event"
)

// The codes of problems that only the data port answers with. Those of events
// and of the pipeline are in package event.
const (
	CodeBadRequest       = "bad_request"        // not valid HTTP/1.1, or framed ambiguously
	CodeInvalidParameter = "invalid_parameter"  // a query parameter or the user in the path
	CodeUnknownParameter = "unknown_parameter"  // a query parameter that does not exist
	CodeKeyInQuery       = "key_in_query"       // the key belongs in a header
	CodeAmbiguousKey     = "ambiguous_key"      // more than one key was presented
	CodeAckUnavailable   = "ack_unavailable"    // that level does not exist yet
	CodeAckNotAllowed    = "ack_not_allowed"    // weaker than the tenant allows
	CodeInvalidEncoding  = "invalid_encoding"   // the body is not what Content-Encoding says
	CodeIncompleteBody   = "incomplete_body"    // it ended early, or its chunks are broken
	CodeInvalidCursor    = "invalid_cursor"     // not a next_cursor of this query
	CodeMissingKey       = "missing_key"        // no key was presented
	CodeUnknownKey       = "unknown_key"        // no tenant has that key
	CodeNotFound         = "not_found"          // no such path
	CodeUnknownUser      = "unknown_user"       // no actor knows that user
	CodeMethodNotAllowed = "method_not_allowed" // Allow says which are
	CodeClientTooSlow    = "client_too_slow"    // header or body did not arrive in time
	CodeBodyTooLarge     = "body_too_large"     // larger than max_body, compressed or not
	CodeURITooLong       = "uri_too_long"
	CodeUnsupportedType  = "unsupported_media_type"
	CodeUnsupportedCode  = "unsupported_encoding"
	CodeValidationFailed = "validation_failed" // well-formed, and no event passed validation
	CodeHeadersTooLarge  = "headers_too_large"
	CodeInternal         = "internal"
	CodeNotQueryable     = "not_queryable" // the tenant's sinks cannot be read
	CodeOverloaded       = "overloaded"    // connections or decompression are at their limit
)

// titles are the summaries of the problem types: one per code, never changing
// from one occurrence to the next (RFC 9457, section 3.1.3).
var titles = map[string]string{
	CodeBadRequest:       "The request is not valid HTTP",
	CodeInvalidParameter: "A parameter is not valid",
	CodeUnknownParameter: "A parameter is not known",
	CodeKeyInQuery:       "The key is in the wrong place",
	CodeAmbiguousKey:     "More than one key was presented",
	CodeAckUnavailable:   "This ack level is not available",
	CodeAckNotAllowed:    "This ack level is not allowed",
	CodeInvalidEncoding:  "The body is not encoded as it says",
	CodeIncompleteBody:   "The body is incomplete",
	CodeInvalidCursor:    "The cursor is not valid",
	CodeMissingKey:       "A key is required",
	CodeUnknownKey:       "The key is not known",
	CodeNotFound:         "There is nothing here",
	CodeUnknownUser:      "Nothing is known of this user",
	CodeMethodNotAllowed: "The method is not allowed here",
	CodeClientTooSlow:    "The request did not arrive in time",
	CodeBodyTooLarge:     "The body is too large",
	CodeURITooLong:       "The URI is too long",
	CodeUnsupportedType:  "The media type is not understood",
	CodeUnsupportedCode:  "The encoding is not understood",
	CodeValidationFailed: "No event passed validation",
	CodeHeadersTooLarge:  "The headers are too large",
	CodeInternal:         "The gateway failed",
	CodeNotQueryable:     "Events cannot be read here",
	CodeOverloaded:       "The gateway is overloaded",

	event.CodeInvalidJSON:     "The body is not JSON",
	event.CodeNotAnObject:     "An event is not an object",
	event.CodeTooDeep:         "An event is nested too deep",
	event.CodeEventTooLarge:   "An event is too large",
	event.CodeEmptyBody:       "The body is empty",
	event.CodeNoEvents:        "The body holds no events",
	event.CodeTooManyEvents:   "The body holds too many events",
	event.CodeUserLimit:       "The user has too many events in flight",
	event.CodeSinkUnavailable: "The sink is not available",
	event.CodeSinkRejected:    "The sink refused the events",
	event.CodeQuarantined:     "The events could not be handled",
	event.CodeStopped:         "The gateway stopped",
	event.CodeNoCredits:       "The tenant's budget is in use",
	event.CodeRateLimited:     "The tenant's rate is used up",
	event.CodeDraining:        "The gateway is about to stop",
	event.CodeOutcomeUnknown:  "The outcome is not known",
}

// typePrefix makes a code the type URI of a problem: stable, and bound to no
// host name.
const typePrefix = "urn:sluice:problem:"

// problem is one answer of application/problem+json (RFC 9457).
type problem struct {
	status int
	code   string
	detail string

	scope      string        // of 429: tenant, rate or user
	limitName  string        // of 413 and its like: the configuration key
	limit      int64         // and its value
	retryAfter time.Duration // greater than 0: Retry-After is sent
	outcomes   []event.Outcome

	allow   string // of 405
	accepts bool   // of 415: say what is understood
	auth    string // of 401: the challenge
	close   bool   // the connection cannot go on
}

// retrySeconds is the value of Retry-After: whole seconds, rounded up, at
// least 1.
func retrySeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// append appends the body.
func (p *problem) append(dst []byte) []byte {
	title := titles[p.code]
	if title == "" {
		title = "The request was not accepted"
	}
	dst = append(dst, `{"type":`...)
	dst = appendString(dst, typePrefix+p.code)
	dst = append(dst, `,"title":`...)
	dst = appendString(dst, title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendString(dst, p.detail)
	dst = append(dst, `,"code":`...)
	dst = appendString(dst, p.code)
	if p.scope != "" {
		dst = append(dst, `,"scope":`...)
		dst = appendString(dst, p.scope)
	}
	if p.limitName != "" {
		dst = append(dst, `,"limit":{"name":`...)
		dst = appendString(dst, p.limitName)
		dst = append(dst, `,"value":`...)
		dst = strconv.AppendInt(dst, p.limit, 10)
		dst = append(dst, '}')
	}
	if p.retryAfter > 0 {
		dst = append(dst, `,"retry_after_ms":`...)
		dst = strconv.AppendInt(dst, max(1, p.retryAfter.Milliseconds()), 10)
	}
	if len(p.outcomes) > 0 {
		dst = appendErrors(append(dst, ','), p.outcomes)
	}
	return append(dst, '}')
}
