// Package intake is what the comparators that are written in Go have in common:
// how a request becomes events, by the fastest JSON library that there is for it,
// and with no checks but those that the comparison asks for. It is not strict, as
// sluice is: it takes duplicate names, invalid UTF-8 and ids of any length.
package intake

import (
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// MaxBody is the largest body that a comparator takes, in bytes.
const MaxBody = 8 << 20

var (
	errFields = errors.New("want an object with id, type, user and ts")
	errTS     = errors.New("ts: want milliseconds or RFC 3339")
)

// An Event is a valid event. Raw is of the body; the other slices are of the
// scanner, which uses them again at the next call of Next.
type Event struct {
	ID, Type, User, Raw []byte

	ts *fastjson.Value
}

// A Scanner reads the events of a request one after the other. Its zero value is
// ready for Reset. It is not safe for concurrent use.
type Scanner struct {
	Event // the last one that Next found

	parser fastjson.Parser
	rest   []byte
	lines  bool
	err    error
}

// Reset makes the scanner read a request: one event, or with an NDJSON content
// type an event a line.
func (s *Scanner) Reset(ctx *fasthttp.RequestCtx) {
	s.rest, s.err = ctx.PostBody(), nil
	s.lines = bytes.HasPrefix(ctx.Request.Header.ContentType(), []byte("application/x-ndjson"))
}

// Count returns the most events that are still to come.
func (s *Scanner) Count() int {
	if s.lines {
		return bytes.Count(s.rest, []byte{'\n'}) + 1
	}
	return 1
}

// Next goes to the next event. It returns false after the last one, and when an
// event is not valid, which Err then tells.
func (s *Scanner) Next() bool {
	for s.err == nil && len(s.rest) > 0 {
		raw := s.rest
		s.rest = nil
		if s.lines {
			raw, s.rest, _ = bytes.Cut(raw, []byte{'\n'})
		}
		if len(raw) > 0 {
			s.err = s.check(raw)
			return s.err == nil
		}
	}
	return false
}

// Err returns why the request is not valid; nil: it is.
func (s *Scanner) Err() error { return s.err }

func (s *Scanner) check(raw []byte) error {
	v, err := s.parser.ParseBytes(raw)
	if err != nil {
		return err
	}
	s.Event = Event{
		ID: v.GetStringBytes("id"), Type: v.GetStringBytes("type"), User: v.GetStringBytes("user"), Raw: raw,
		ts: v.Get("ts"),
	}
	if len(s.ID) == 0 || len(s.Type) == 0 || len(s.User) == 0 || s.ts == nil {
		return errFields
	}
	return nil
}

// Millis returns the event's time in milliseconds since 1970.
func (e *Event) Millis() (int64, error) {
	switch e.ts.Type() {
	case fastjson.TypeNumber:
		return e.ts.Int64()
	case fastjson.TypeString:
		t, err := time.Parse(time.RFC3339, string(e.ts.GetStringBytes()))
		return t.UnixMilli(), err
	}
	return 0, errTS
}
