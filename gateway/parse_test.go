package gateway

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sluice/event"
)

func TestAcceptRanksNDJSON(t *testing.T) {
	for _, tc := range []struct {
		accept string
		want   bool
	}{
		{"", false},
		{"*/*", false},
		{"application/json", false},
		{"application/x-ndjson", true},
		{"APPLICATION/JSONL", true},
		{"application/json, application/x-ndjson", true},
		{"application/json, application/x-ndjson;q=0.9", false},
		{"application/json;q=0.1, application/ndjson;q=0.2", true},
		{"application/x-ndjson;q=0", false},
		{"application/x-ndjson;q=nan", false},
		{"application/x-ndjson;q=-1", false},
		{"application/x-ndjson;q=1e-9", false},
		{"text/html,application/xhtml+xml;q=0.9", false},
	} {
		if got := prefersNDJSON([]byte(tc.accept)); got != tc.want {
			t.Errorf("Accept: %s prefers NDJSON: %v", tc.accept, got)
		}
	}
}

func TestScanHead(t *testing.T) {
	for _, tc := range []struct{ name, raw, flaw string }{
		{"nothing", "", ""},
		{"in order", "Host: a\r\nContent-Length: 3\r\nContent-Type: x\r\n\r\n", ""},
		{"without its end", "Host: a\r\n", ""},
		{"bare LF", "Host: a\nX: y\r\n\r\n", "LF alone"},
		{"bare LF as the end", "Host: a\r\n\n", "LF alone"},
		{"a tab in a name", "Ho\tst: a\r\n\r\n", "blank"},
		{"no colon", "Host\r\n\r\n", "no name"},
		{"folded by a tab", "Host: a\r\n\tb\r\n\r\n", "folded"},
		{"any case", "cOnTeNt-LeNgTh: 1\r\nTRANSFER-ENCODING: chunked\r\n\r\n", "exclude"},
		{"300 times", strings.Repeat("X-Api-Key: a\r\n", 300), "more than once"},
	} {
		h := scanHead([]byte(tc.raw))
		if (tc.flaw == "") != (h.flaw == "") || !strings.Contains(h.flaw, tc.flaw) {
			t.Errorf("%s: %q", tc.name, h.flaw)
		}
	}
}

func TestRetryAfterIsWholeSecondsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]int{0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 2500 * time.Millisecond: 3} {
		if got := retrySeconds(d); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}

// FuzzQuery: what is accepted means the same to net/url.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"ack=stored", "a=%41+b&c", "a=1&a=2", "%", "=&=", "from=2026-01-31T12:00:00+01:00", "a=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, bad := parseQuery([]byte(raw))
		if bad != nil {
			if bad.status != 400 || !utf8.ValidString(bad.detail) {
				t.Fatalf("%+v", bad)
			}
			return
		}
		for _, p := range params {
			if !utf8.ValidString(p.name) || !utf8.ValidString(p.value) {
				t.Fatalf("%q is not UTF-8", p)
			}
		}
		if strings.Contains(raw, ";") {
			return // net/url refuses it, the standard it names does not
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q was accepted: %v", raw, err)
		}
		if len(want) != len(params) {
			t.Fatalf("%q: %v, net/url has %v", raw, params, want)
		}
		for _, p := range params {
			if got := want[p.name]; len(got) != 1 || got[0] != p.value {
				t.Fatalf("%q: %v, net/url has %v", raw, p, got)
			}
		}
		var q event.Query
		if _, bad := parseRange(params, time.UnixMilli(1769860800000), &q); bad == nil {
			if q.Limit < 1 || q.Limit > maxLimit || q.From < 0 || q.To < 0 || (q.To != 0 && q.From >= q.To) {
				t.Fatalf("%q: %+v", raw, q)
			}
		}
	})
}

// FuzzHeaders: whatever a client sends, the parsers of its headers answer, and
// what they say can be sent back.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"application/json; charset=utf-8", "gzip, br", "application/x-ndjson;q=0.5", "Host: a\r\nX: y\r\n\r\n", ";=;,", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, flaw := parseContentType([]byte(s))
		_, flaw2 := parseContentEncoding([]byte(s))
		prefersNDJSON([]byte(s))
		h := scanHead([]byte(s))
		for _, said := range []string{flaw, flaw2, h.flaw} {
			if !utf8.ValidString(said) || len(said) > 1000 {
				t.Fatalf("%q", said)
			}
		}
		if h.flaw == "" && (strings.Contains(s, "\n ") || strings.Contains(s, "\n\t")) && !strings.Contains(s, "\r\n\r\n") {
			t.Fatalf("%q is folded", s)
		}
	})
}

// FuzzPath: a path is a user's only in one spelling.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/v1/events", "/v1/users/u", "/v1/users/a%2Fb/events", "/v1/users//events", "/v1/users/../events", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, escaped := locate([]byte(path))
		switch r {
		case userStatus, userEvents:
			back := pathUsers + escaped
			if r == userEvents {
				back += "/events"
			}
			if back != path || escaped == "" || strings.Contains(escaped, "/") {
				t.Fatalf("%q: user %q", path, escaped)
			}
			if user, bad := namedUser(escaped); bad == nil && (user == "" || len(user) > maxUser || !utf8.ValidString(user)) {
				t.Fatalf("%q: user %q", path, user)
			}
		case theEvents:
			if path != pathEvents {
				t.Fatal(path)
			}
		}
	})
}

// FuzzCursor: a sealed cursor opens to what it was, and nothing else opens.
func FuzzCursor(f *testing.F) {
	f.Add("inner", int64(5), true)
	f.Add(".", int64(0), false)
	f.Fuzz(func(t *testing.T, inner string, to int64, implied bool) {
		if inner == "" || to <= 0 || to > maxMillis {
			return
		}
		q := event.Query{To: to}
		sealed := sealCursor(inner, &q, implied)
		opened := event.Query{Cursor: sealed, To: 1}
		if bad := openCursor(&opened, implied); bad != nil || opened.Cursor != inner || (implied && opened.To != to) {
			t.Fatalf("%q opens to %+v", sealed, opened)
		}
		other := event.Query{Cursor: sealed}
		if openCursor(&other, !implied) == nil {
			t.Fatalf("%q opens for another range", sealed)
		}
		loose := event.Query{Cursor: inner}
		_ = openCursor(&loose, implied)
	})
}
