package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/event"
)

// threeEvents answers a query with three events, two a page.
func threeEvents(seen *[]event.Query) func(context.Context, event.Query) (event.Page, error) {
	all := []event.Event{
		{ID: "a", Data: []byte(`{"id":"a"}`)},
		{ID: "b", Data: []byte("{\"id\":\"b\",\n \"text\":\"x\\ny\"}")},
		{ID: "c", Data: []byte(`{"id":"c"}`)},
	}
	return func(_ context.Context, q event.Query) (event.Page, error) {
		*seen = append(*seen, q)
		switch q.Cursor {
		case "":
			return event.Page{Events: all[:2], Next: "in ner.1"}, nil
		case "in ner.1":
			return event.Page{Events: all[2:]}, nil
		}
		return event.Page{}, fmt.Errorf("wrapped: %w", event.ErrBadCursor)
	}
}

func TestReadingEvents(t *testing.T) {
	var seen []event.Query
	p := start(t, func(p *port, _ *Options) { p.store.read = threeEvents(&seen) })
	for _, tc := range []struct {
		name, target, head string
		want               event.Query
		body               string
	}{
		{"everything that is kept, newest first", "/v1/users/u-1/events", "",
			event.Query{User: "u-1", Limit: 100, Desc: true}, `{"events":[{"id":"a"},`},
		{"a range in RFC 3339 and in milliseconds", "/v1/users/u-1/events?from=2026-01-31T12:00:00Z&to=1769860801000", "",
			event.Query{User: "u-1", From: 1769860800000, To: 1769860801000, Limit: 100, Desc: true}, ""},
		{"an offset whose + was not escaped", "/v1/users/u-1/events?from=2026-01-31T13:00:00+01:00&to=2026-01-31T12:00:01.5Z", "",
			event.Query{User: "u-1", From: 1769860800000, To: 1769860801500, Limit: 100, Desc: true}, ""},
		{"to alone begins at the beginning", "/v1/users/u-1/events?to=1000", "",
			event.Query{User: "u-1", To: 1000, Limit: 100, Desc: true}, ""},
		{"type, limit and order", "/v1/users/u-1/events?type=order%2Fpaid&limit=1000&order=asc", "",
			event.Query{User: "u-1", Type: "order/paid", Limit: 1000}, ""},
		{"a user with everything in its name", "/v1/users/a%2Fb%20%C3%A9%3F+/events", "",
			event.Query{User: "a/b é?+", Limit: 100, Desc: true}, ""},
		{"a user called like a way out", "/v1/users/../events", "",
			event.Query{User: "..", Limit: 100, Desc: true}, ""},
		{"an event a line", "/v1/users/u-1/events", "Accept: text/html, application/x-ndjson;q=0.9, application/json;q=0.5",
			event.Query{User: "u-1", Limit: 100, Desc: true}, "{\"id\":\"a\"}\n{\"id\":\"b\",  \"text\":\"x\\ny\"}\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen = nil
			a := p.do("GET "+tc.target, tc.head, "")
			a.want(t, 200, "")
			tc.want.Tenant = "acme"
			if seen[0] != tc.want {
				t.Errorf("asked for %+v\nwant      %+v", seen[0], tc.want)
			}
			if !strings.HasPrefix(string(a.body), tc.body) {
				t.Errorf("answered %q\nwant it to begin %q", a.body, tc.body)
			}
			if a.Header.Get("Sluice-Next-Cursor") == "" || a.Header.Get("Vary") != "Accept" {
				t.Errorf("headers are %v", a.Header)
			}
		})
	}
	t.Run("HEAD has the headers of GET", func(t *testing.T) {
		a := p.do("HEAD /v1/users/u-1/events", "", "")
		a.want(t, 200, "")
		if len(a.body) != 0 || a.ContentLength <= 0 || a.Header.Get("Content-Type") != typeJSON {
			t.Errorf("length %d, headers %v", a.ContentLength, a.Header)
		}
	})
}

// TestPaging follows next_cursor with from alone, whose end is the time of the
// first request: the second page is of the same range, seconds later.
func TestPaging(t *testing.T) {
	var seen []event.Query
	p := start(t, func(p *port, _ *Options) { p.store.read = threeEvents(&seen) })
	for _, tc := range []struct{ name, target string }{
		{"from alone", "/v1/users/u/events?from=1000"},
		{"a whole range", "/v1/users/u/events?from=1000&to=2000"},
		{"no range", "/v1/users/u/events?order=asc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen = nil
			before := time.Now().UnixMilli()
			first := p.do("GET "+tc.target, "", "")
			first.want(t, 200, "")
			cursor, _ := first.doc["next_cursor"].(string)
			if cursor == "" || cursor != first.Header.Get("Sluice-Next-Cursor") {
				t.Fatalf("next_cursor is %q, the header %q", cursor, first.Header.Get("Sluice-Next-Cursor"))
			}
			eventually(t, "time passes", func() bool { return time.Now().UnixMilli() > before+2 })
			sep := "&"
			last := p.do("GET "+tc.target+sep+"cursor="+strings.ReplaceAll(cursor, " ", "%20"), "", "")
			last.want(t, 200, "")
			if string(last.body) != `{"events":[{"id":"c"}]}` {
				t.Errorf("the last page is %s", last.body)
			}
			if seen[0].From != seen[1].From || seen[0].To != seen[1].To || seen[0].Desc != seen[1].Desc || seen[1].Cursor != "in ner.1" {
				t.Errorf("the pages are of different ranges:\n%+v\n%+v", seen[0], seen[1])
			}
			if tc.name == "from alone" && (seen[0].To <= before || seen[0].To > time.Now().UnixMilli()) {
				t.Errorf("from alone reached to %d, now is %d", seen[0].To, before)
			}
		})
	}
}

func TestReadingMisuse(t *testing.T) {
	p := start(t, func(p *port, o *Options) {
		var seen []event.Query
		p.store.read = threeEvents(&seen)
	})
	for _, tc := range []struct {
		name, target string
		code, detail string
	}{
		{"a from that is no time", "/v1/users/u/events?from=yesterday", CodeInvalidParameter, "from is"},
		{"a from before 1970", "/v1/users/u/events?from=1969-12-31T00:00:00Z", CodeInvalidParameter, "from is"},
		{"an empty from", "/v1/users/u/events?from=", CodeInvalidParameter, "RFC 3339"},
		{"a to of 20 digits", "/v1/users/u/events?to=99999999999999999999", CodeInvalidParameter, "to is"},
		{"a to of nothing", "/v1/users/u/events?to=0", CodeInvalidParameter, "exclusive"},
		{"an empty range", "/v1/users/u/events?from=2000&to=2000", CodeInvalidParameter, "not before"},
		{"a from in the future", "/v1/users/u/events?from=9999-01-01T00:00:00Z", CodeInvalidParameter, "not before"},
		{"a limit of zero", "/v1/users/u/events?limit=0", CodeInvalidParameter, "1 to 1000"},
		{"a limit over the most", "/v1/users/u/events?limit=1001", CodeInvalidParameter, "1 to 1000"},
		{"an order that is none", "/v1/users/u/events?order=up", CodeInvalidParameter, "asc or desc"},
		{"an empty type", "/v1/users/u/events?type=", CodeInvalidParameter, "every type"},
		{"an empty cursor", "/v1/users/u/events?cursor=", CodeInvalidParameter, "next_cursor"},
		{"a cursor of one's own", "/v1/users/u/events?cursor=abc", CodeInvalidCursor, ""},
		{"a cursor the reader does not know", "/v1/users/u/events?cursor=.abc", CodeInvalidCursor, ""},
		{"a cursor of another range", "/v1/users/u/events?from=1000&cursor=.in+ner.1", CodeInvalidCursor, ""},
		{"a cursor with an end of no range", "/v1/users/u/events?cursor=2000.in+ner.1", CodeInvalidCursor, ""},
		{"a cursor that ends before from", "/v1/users/u/events?from=1000&cursor=999.in+ner.1", CodeInvalidCursor, ""},
		{"an unknown parameter", "/v1/users/u/events?since=1", CodeUnknownParameter, "from, to, type, limit, cursor and order"},
		{"a user that is not UTF-8", "/v1/users/%ff/events", CodeInvalidParameter, "UTF-8"},
		{"a user with a broken escape", "/v1/users/%4/events", CodeInvalidParameter, "percent-encoded"},
		{"a user of 257 bytes", "/v1/users/" + strings.Repeat("u", 257) + "/events", CodeInvalidParameter, "256"},
		{"a parameter of a user", "/v1/users/u?from=1", CodeUnknownParameter, "none"},
		{"a user of 257 bytes, its status", "/v1/users/" + strings.Repeat("u", 257), CodeInvalidParameter, "256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.do("GET "+tc.target, "", "")
			a.want(t, 400, tc.code)
			if !strings.Contains(string(a.body), tc.detail) {
				t.Errorf("%s does not say %q", a.body, tc.detail)
			}
		})
	}
	for _, target := range []string{"/v1/users/", "/v1/users//events", "/v1/users/u/", "/v1/users/u/events/", "/v1/users/u/x", "/", "//v1/events"} {
		p.do("GET "+target, "", "").want(t, 404, CodeNotFound)
	}
}

func TestReadingWhenItCannotBe(t *testing.T) {
	p := start(t, func(p *port, _ *Options) {
		p.store.read = func(ctx context.Context, _ event.Query) (event.Page, error) {
			if _, ok := ctx.Deadline(); !ok {
				return event.Page{}, nil
			}
			return event.Page{}, errors.New("the secret address 10.0.0.1 is down")
		}
		p.store.status = func(user string) (event.UserStatus, bool, error) {
			if user == "broken" {
				return event.UserStatus{}, false, errors.New("a secret")
			}
			return event.UserStatus{User: user, FirstSeen: 1769860800000, LastSeen: 1769860801500, Accepted: 3, Duplicates: 1,
				Rejected: 2, Failed: 4, InFlight: 5, WindowIDs: 6, WindowFrom: 1769860800001}, user == "u-1", nil
		}
	})
	a := p.do("GET /v1/users/u/events", "", "")
	a.want(t, 503, event.CodeSinkUnavailable)
	if strings.Contains(string(a.body), "10.0.0.1") || !strings.Contains(p.log.String(), "10.0.0.1") {
		t.Errorf("why is for the log, not for the client: %s", a.body)
	}
	p.do("GET /v1/users/u/events", "X-Api-Key: "+laxKey, "").want(t, 501, CodeNotQueryable)
	p.do("GET /v1/users/nobody", "", "").want(t, 404, CodeUnknownUser)
	p.do("GET /v1/users/broken", "", "").want(t, 503, event.CodeSinkUnavailable)
	p.do("GET /v1/users/u", "No-Key: 1", "").want(t, 401, CodeMissingKey)

	a = p.do("GET /v1/users/u-1", "", "")
	a.want(t, 200, "")
	want := `{"user":"u-1","first_seen":"2026-01-31T12:00:00.000Z","last_seen":"2026-01-31T12:00:01.500Z","accepted":3,"duplicates":1,` +
		`"rejected":2,"failed":4,"in_flight":5,"dedupe":{"ids":6,"since":"2026-01-31T12:00:00.001Z"}}`
	if string(a.body) != want {
		t.Errorf("answered %s\nwant     %s", a.body, want)
	}
}

// TestAPageThatNobodyReads: a client that asks for more than the kernel buffers
// and does not read it loses its connection, not the server its memory.
func TestAPageThatNobodyReads(t *testing.T) {
	large := func(p *port) {
		p.store.read = func(context.Context, event.Query) (event.Page, error) {
			data := []byte(`{"text":"` + strings.Repeat("x", 200_000) + `"}`)
			page := event.Page{Events: make([]event.Event, 100)}
			for i := range page.Events {
				page.Events[i].Data = data
			}
			return page, nil
		}
	}
	p := start(t, func(p *port, o *Options) { large(p); o.WriteTimeout = 200 * time.Millisecond })
	c := p.dial()
	c.send(request("GET /v1/users/u/events", "", ""))
	eventually(t, "the answer is made", func() bool { return len(p.observed()) == 1 })
	eventually(t, "the connection is cut", func() bool { return p.srv.Connections() == 0 })

	// Who reads it gets all of it.
	patient := start(t, func(p *port, _ *Options) { large(p) })
	a := patient.do("GET /v1/users/u/events", "", "")
	a.want(t, 200, "")
	if n := len(a.doc["events"].([]any)); n != 100 || len(a.body) < 20_000_000 {
		t.Errorf("%d events, %d bytes", n, len(a.body))
	}
}

func TestOptions(t *testing.T) {
	p := start(t, nil)
	for target, allow := range map[string]string{
		"/v1/events": "POST, OPTIONS", "/v1/users/u": "GET, HEAD, OPTIONS", "/v1/users/u/events": "GET, HEAD, OPTIONS", "*": "GET, HEAD, POST, OPTIONS",
	} {
		a := p.do("OPTIONS "+target, "No-Key: 1", "")
		a.want(t, 204, "")
		if a.Header.Get("Allow") != allow || len(a.body) != 0 || a.Header.Get("Content-Type") != "" {
			t.Errorf("OPTIONS %s answered %v", target, a.Header)
		}
	}
	p.do("OPTIONS /nowhere", "", "").want(t, 404, CodeNotFound)
}

// threeStatuses knows the user "known", not "other", and panics at "panic".
func threeStatuses(user string) (event.UserStatus, bool, error) {
	if user == "panic" {
		panic("no such luck")
	}
	return event.UserStatus{User: user}, user == "known", nil
}
