package event

import (
	"fmt"
	"strings"
	"time"
)

// The longest of each field, in bytes.
const (
	maxID   = 128
	maxType = 128
	maxUser = 256
)

// Validator makes events of what the parser found. It is not safe for
// concurrent use: a validator actor has one.
//
// The rules, beyond the table in docs/http.md: null is the same as absent. An
// integer is kept as its digits, with a minus where it has one, and -0 is 0; a
// number with a fraction or an exponent is no integer. NUL is not allowed in id,
// type and user, which end up in keys and headers.
type Validator struct {
	tenant string
	fields Fields
	skew   time.Duration
	ids    idSource
}

// NewValidator returns a validator for tenant.
func NewValidator(tenant string, f Fields, l Limits) *Validator {
	return &Validator{tenant: tenant, fields: f, skew: l.MaxSkew, ids: newIDSource()}
}

// Validate returns the event that raw is, or why it cannot be accepted.
// received is in microseconds since the Unix epoch; an id that is missing is
// made from it, later than any made before for the same time.
func (v *Validator) Validate(raw *Raw, received int64) (Event, *Reason) {
	e := Event{Tenant: v.tenant, Received: received, Data: raw.Data}
	var bad *Reason
	if e.Type, bad = text(raw.Type, v.fields.Type, maxType, false); bad != nil {
		return Event{}, bad
	}
	if e.User, bad = text(raw.User, v.fields.User, maxUser, true); bad != nil {
		return Event{}, bad
	}
	if !raw.ID.absent() {
		if e.ID, bad = text(raw.ID, v.fields.ID, maxID, true); bad != nil {
			return Event{}, bad
		}
	}
	if e.TS, bad = v.time(raw, e.ID, received); bad != nil {
		return Event{}, bad
	}
	if e.ID == "" {
		e.ID = v.ids.next(received)
	}
	return e, nil
}

// time returns the event's time in milliseconds.
func (v *Validator) time(raw *Raw, id string, received int64) (int64, *Reason) {
	now := received / 1000
	latest := now + v.skew.Milliseconds()
	if raw.TS.absent() {
		// An id that merely looks like a ULID has any time: only a likely one counts.
		if ms, ok := idTime(id); ok && ms >= earliestIDTime && ms <= latest {
			return ms, nil
		}
		return now, nil
	}
	var ms int64
	ok := false
	switch raw.TS.Kind {
	case String:
		ms, ok = parseRFC3339(raw.TS.Text)
	case Number:
		ms, ok = parseMillis(raw.TS.Text)
	}
	switch {
	case !ok || ms < minTS || ms > maxTS:
		return 0, invalid(v.fields.TS, "want an RFC 3339 time or integer milliseconds since 1970", raw.TS.describe())
	case ms > latest:
		ahead := time.Duration(min(ms-now, int64(time.Duration(1<<63-1)/time.Millisecond))) * time.Millisecond
		return 0, &Reason{
			Code: CodeFutureTS, Stage: StageValidator, Pointer: v.fields.TS,
			Message: fmt.Sprintf("want a time at most %v ahead of the gateway's clock at %s, got %s, which is %v ahead",
				v.skew, v.fields.TS, raw.TS.describe(), ahead.Round(time.Second)),
		}
	}
	return ms, nil
}

// text returns a field that is a string of 1 to limit bytes or, where integers
// are allowed, an integer.
func text(val Value, pointer string, limit int, integers bool) (string, *Reason) {
	want := "want a string"
	if integers {
		want = "want a string or an integer"
	}
	s := val.Text
	switch {
	case val.absent():
		return "", &Reason{
			Code: CodeMissingField, Stage: StageValidator, Pointer: pointer,
			Message: want + " at " + pointer + ", got " + val.describe(),
		}
	case val.Kind == Number && integers && isInteger(s):
		if s == "-0" {
			s = "0"
		}
	case val.Kind != String:
		return "", invalid(pointer, want, val.describe())
	}
	switch {
	case s == "":
		return "", invalid(pointer, fmt.Sprintf("want 1 to %d bytes", limit), "an empty string")
	case len(s) > limit:
		return "", invalid(pointer, fmt.Sprintf("want 1 to %d bytes", limit), fmt.Sprintf("%d bytes", len(s)))
	case strings.IndexByte(s, 0) >= 0:
		return "", invalid(pointer, "want text without the character U+0000", val.describe())
	}
	return s, nil
}

func invalid(pointer, want, got string) *Reason {
	return &Reason{
		Code: CodeInvalidField, Stage: StageValidator, Pointer: pointer,
		Message: want + " at " + pointer + ", got " + got,
	}
}

// absent reports whether the sender left the field out.
func (v Value) absent() bool { return v.Kind == Absent || v.Kind == Null }

// describe says what v is, for a message.
func (v Value) describe() string {
	switch v.Kind {
	case Null:
		return "null"
	case Bool:
		return "a boolean"
	case Number:
		return "the number " + strings.Trim(quoteText(v.Text), `"`)
	case String:
		return "the string " + quoteText(v.Text)
	case Object:
		return "an object"
	case Array:
		return "an array"
	}
	return "nothing"
}

// isInteger reports whether a JSON number is written without fraction and
// exponent.
func isInteger(number string) bool { return !strings.ContainsAny(number, ".eE") }

// GivenID returns the id that the sender gave, as far as it can be one; empty
// if there is none. It names the event in an answer that rejects it.
func (r *Raw) GivenID() string { return givenID(r.ID) }

func givenID(v Value) string {
	if id, bad := text(v, "", maxID, true); bad == nil {
		return id
	}
	return ""
}
