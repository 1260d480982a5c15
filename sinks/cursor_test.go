package sinks

import (
	"errors"
	"strings"
	"testing"

	"sluice/event"
)

func TestCursor(t *testing.T) {
	q := event.Query{Tenant: "acme", User: "u", From: 10, To: 100, Type: "click", Limit: 5, Desc: true}
	last := event.Event{TS: 50, ID: "e\x00ä"}
	cursor := NextCursor(&q, &last)
	for _, tc := range []struct {
		name   string
		change func(q *event.Query)
		good   bool
	}{
		{"the same query takes it", func(q *event.Query) {}, true},
		{"the limit may change", func(q *event.Query) { q.Limit = 1000 }, true},
		{"the end of the range may move on", func(q *event.Query) { q.To = 200 }, true},
		{"another tenant does not", func(q *event.Query) { q.Tenant = "globex" }, false},
		{"another user does not", func(q *event.Query) { q.User = "v" }, false},
		{"another type does not", func(q *event.Query) { q.Type = "" }, false},
		{"the other order does not", func(q *event.Query) { q.Desc = false }, false},
		{"a range that begins after it does not", func(q *event.Query) { q.From = 51 }, false},
		{"a range that ends before it does not", func(q *event.Query) { q.To = 50 }, false},
		{"a changed letter is seen", func(q *event.Query) { q.Cursor = "B" + q.Cursor[1:] }, false},
		{"a cut one is seen", func(q *event.Query) { q.Cursor = q.Cursor[:len(q.Cursor)-1] }, false},
		{"a longer one is seen", func(q *event.Query) { q.Cursor += "AAAA" }, false},
		{"text that is not base64url is seen", func(q *event.Query) { q.Cursor = "+/=\n" }, false},
		{"a huge one is refused unread", func(q *event.Query) { q.Cursor = strings.Repeat("A", 1<<20) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := q
			q.Cursor = cursor
			tc.change(&q)
			ts, id, err := AfterCursor(&q)
			if tc.good && (err != nil || ts != last.TS || id != last.ID) {
				t.Errorf("got %d %q %v, want %d %q", ts, id, err, last.TS, last.ID)
			}
			if !tc.good && !errors.Is(err, event.ErrBadCursor) {
				t.Errorf("got %d %q %v, want event.ErrBadCursor", ts, id, err)
			}
		})
	}
}

// FuzzAfterCursor: no cursor panics, and one that is taken is one that is given.
func FuzzAfterCursor(f *testing.F) {
	q := event.Query{Tenant: "acme", User: "u", Limit: 1}
	f.Add("")
	f.Add("AQ")
	f.Add(NextCursor(&q, &event.Event{TS: -1, ID: "e"}))
	f.Fuzz(func(t *testing.T, cursor string) {
		q := q
		q.Cursor = cursor
		ts, id, err := AfterCursor(&q)
		if err == nil && NextCursor(&q, &event.Event{TS: ts, ID: id}) != cursor {
			t.Errorf("%q was taken, but (%d, %q) has another cursor", cursor, ts, id)
		}
	})
}
