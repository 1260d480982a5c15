package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestSendMisbehaviour is the retry contract: what is sent again, and what is
// not, after each kind of answer. Every gateway gets 40 events in requests of 10.
func TestSendMisbehaviour(t *testing.T) {
	first := func(f func(w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return func(n int, w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool {
			return n == 1 && f(w, events, store)
		}
	}
	refuse := func(status int, code string) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fakeProblem(w, status, code, nil)
			return true
		})
	}
	storedThen := func(f func(w http.ResponseWriter)) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return first(func(w http.ResponseWriter, _ []postedEvent, store func() []postedResult) bool {
			store()
			f(w)
			return true
		})
	}
	// proxyUntil is a proxy, by whose clock it is noon, that asks for patience.
	proxyUntil := func(date string) func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool {
		return first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			w.Header().Set("Date", "Wed, 02 Jan 2013 12:00:00 GMT")
			w.Header().Set("Retry-After", date)
			http.Error(w, "upstream", 503)
			return true
		})
	}
	for _, tc := range []struct {
		name      string
		ids       bool
		misbehave func(int, http.ResponseWriter, []postedEvent, func() []postedResult) bool
		reject    func(postedEvent) string
		want      string // exit, stored, accepted, duplicates, rejected, failed, refused
		says      string // on the error stream or in the errors file
	}{
		{"no credits: sent again", false, refuse(429, "no_credits"), nil, "0: 40 40 0 0 0 1", "429 no_credits: trying again"},
		{"draining: sent again", false, refuse(503, "draining"), nil, "0: 40 40 0 0 0 1", "503 draining"},
		{"sink down: sent again", false, refuse(503, "sink_unavailable"), nil, "0: 40 40 0 0 0 1", ""},
		{"too slow: sent again", false, refuse(408, "client_too_slow"), nil, "0: 40 40 0 0 0 0", ""},
		{"outcome unknown, with ids: sent again, stored once", true, storedThen(func(w http.ResponseWriter) { fakeProblem(w, 503, "outcome_unknown", nil) }), nil, "0: 40 30 10 0 0 1", ""},
		{"outcome unknown, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { fakeProblem(w, 503, "outcome_unknown", nil) }), nil, "1: 40 30 0 0 10 1", "without an id sending it again could store it twice"},
		{"cut after it was stored, with ids: sent again, stored once", true, storedThen(func(w http.ResponseWriter) { cut(w) }), nil, "0: 40 30 10 0 0 0", ""},
		{"cut after it was stored, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { cut(w) }), nil, "1: 40 30 0 0 10 0", "outcome_unknown"},
		{"a proxy's 503, with ids: sent again", true, storedThen(func(w http.ResponseWriter) { http.Error(w, "upstream", 503) }), nil, "0: 40 30 10 0 0 1", ""},
		{"a proxy's 502, without ids: not sent again", false, storedThen(func(w http.ResponseWriter) { http.Error(w, "upstream", 502) }), nil, "1: 40 30 0 0 10 0", "502 Bad Gateway"},
		{"a proxy's 503 until a date: sent again then", true, proxyUntil("Wed, 02 Jan 2013 12:00:01 GMT"), nil, "0: 40 40 0 0 0 1", "503 Service Unavailable: trying again in 1"},
		{"a proxy's 503 until a date that is over: sent again soon", true, proxyUntil("Wed, 02 Jan 2013 11:00:00 GMT"), nil, "0: 40 40 0 0 0 1", "503 Service Unavailable: trying again in "},
		{"rejected: reported, and nothing is sent again", true, nil, func(e postedEvent) string {
			if e.Seq%10 == 3 {
				return "missing_field"
			}
			return ""
		}, "1: 36 36 0 4 0 0", "standard input:4: rejected: missing_field: because of missing_field"},
		{"all rejected", true, nil, func(postedEvent) string { return "schema_violation" }, "1: 0 0 0 40 0 0", `"line":40,`},
		{"quarantined: sending it again would not help", true, nil, func(e postedEvent) string {
			if e.Seq == 5 {
				return "failed quarantined"
			}
			return ""
		}, "1: 39 39 0 0 1 0", "standard input:6: failed: quarantined"},
		{"a wrong key ends it", true, refuse(403, "ack_not_allowed"), nil, "1: 0 0 0 0 0 0", "the gateway answers 403 ack_not_allowed: the detail"},
		{"a bad parameter ends it", true, refuse(400, "ack_unavailable"), nil, "1: 0 0 0 0 0 0", "400 ack_unavailable"},
		{"another server's 200 is not believed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fmt.Fprint(w, "<html>welcome</html>")
			return true
		}), nil, "1: 0 0 0 0 0 0", "nothing is taken for accepted"},
		{"an answer that does not add up is not believed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			fmt.Fprint(w, `{"ack":"stored","accepted":9,"duplicates":0,"rejected":0,"failed":0}`)
			return true
		}), nil, "1: 0 0 0 0 0 0", "not as a sluice gateway does"},
		{"another server's 404 ends it", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			http.NotFound(w, nil)
			return true
		}), nil, "1: 0 0 0 0 0 0", "is it a sluice gateway?"},
		{"a redirect is not followed", true, first(func(w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(302)
			return true
		}), nil, "1: 0 0 0 0 0 0", "302 Found"},
		{"too much at once: sent in halves", true, func(_ int, w http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
			if len(events) > 3 {
				fakeProblem(w, 413, "body_too_large", nil)
				return true
			}
			return false
		}, nil, "0: 40 40 0 0 0 0", ""},
		{"one that is too large alone is reported", true, func(_ int, w http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
			if slices.ContainsFunc(events, func(e postedEvent) bool { return e.Seq == 7 }) {
				fakeProblem(w, 413, "event_too_large", nil)
				return true
			}
			return false
		}, nil, "1: 39 39 0 1 0 0", "standard input:8: rejected: event_too_large: the detail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			g.misbehave, g.reject = tc.misbehave, tc.reject
			errorsFile := filepath.Join(t.TempDir(), "errors.ndjson")
			r := runSend(t, strings.NewReader(strings.Join(lines(40, tc.ids), "\n")),
				"--url", g.URL, "--batch=10", "--concurrency=1", "--errors", errorsFile, "-")
			got := fmt.Sprintf("%d: %d %d %d %d %d %d", r.exit, len(g.stored), r.Accepted, r.Duplicates, r.Rejected, r.Failed, r.Refused)
			if got != tc.want {
				t.Errorf("got  %s\nwant %s\n%s", got, tc.want, r.stderr)
			}
			b, err := os.ReadFile(errorsFile)
			if err != nil || int64(bytes.Count(b, []byte("\n"))) != r.Rejected+r.Failed {
				t.Errorf("errors file: %s %v", b, err)
			}
			if said := r.stderr + string(b); !strings.Contains(said, tc.says) {
				t.Errorf("nobody says %q:\n%s", tc.says, said)
			}
			if r.Accepted+r.Duplicates+r.Rejected+r.Failed == 40 != r.Complete {
				t.Errorf("complete is %v", r.Complete)
			}
		})
	}
}

func TestSendOnlyWhatFailedIsSentAgain(t *testing.T) {
	g := newFakeGateway(t)
	var calls atomic.Int64
	g.reject = func(e postedEvent) string {
		if e.Seq%5 == 0 && calls.Add(1) <= 4 {
			return "failed user_limit"
		}
		return ""
	}
	r := runSend(t, strings.NewReader(strings.Join(lines(20, true), "\n")), "--url", g.URL, "--concurrency=1", "--batch=20", "-")
	if r.exit != 0 || r.Accepted != 20 || r.Duplicates != 0 || r.Retries != 1 {
		t.Errorf("%+v\n%s", r.sendSummary, r.stderr)
	}
	if !slices.Equal(g.sizes, []int{20, 4}) {
		t.Errorf("requests of %v events", g.sizes)
	}
}

func TestSendTimesOut(t *testing.T) {
	g := newFakeGateway(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	g.misbehave = func(n int, _ http.ResponseWriter, _ []postedEvent, store func() []postedResult) bool {
		if n > 1 {
			return false
		}
		store()
		<-release
		return true
	}
	r := runSend(t, strings.NewReader(strings.Join(lines(10, true), "\n")), "--url", g.URL, "--concurrency=1", "--timeout=100ms", "-")
	if r.exit != 0 || r.Duplicates != 10 || len(g.stored) != 10 || !strings.Contains(r.stderr, "no answer in time") {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
}

func TestSendWaitsForTheGatewayToStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	g := newFakeGateway(t)
	in, out := io.Pipe()
	go func() {
		defer out.Close()
		// Without ids: nothing can have been stored where nobody listens.
		io.WriteString(out, strings.Join(lines(10, false), "\n")+"\n")
	}()
	up := make(chan error, 1)
	server := &http.Server{Handler: g}
	t.Cleanup(func() { server.Close() })
	started := time.AfterFunc(150*time.Millisecond, func() {
		l, err := net.Listen("tcp", address)
		if err == nil {
			err = server.Serve(l)
		}
		up <- err
	})
	defer started.Stop()
	r := runSend(t, in, "--url", "http://"+address, "-")
	if r.exit != 0 || r.Accepted != 10 || r.Retries == 0 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
	server.Close()
	<-up
}

func TestSendGivesUp(t *testing.T) {
	g := newFakeGateway(t)
	g.misbehave = func(_ int, w http.ResponseWriter, _ []postedEvent, _ func() []postedResult) bool {
		fakeProblem(w, 503, "sink_unavailable", nil)
		return true
	}
	file := writeFile(t, "a.ndjson", strings.Join(lines(100, true), "\n"))
	r := runSend(t, nil, "--url", g.URL, "--give-up=50ms", file)
	if r.exit != 1 || r.Complete || r.Open == 0 || !strings.Contains(r.stderr, "gave up: ") || !strings.Contains(r.stderr, "503 sink_unavailable") {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
	g.misbehave = nil
	if r := runSend(t, nil, "--url", g.URL, file); r.exit != 0 || r.Accepted != 100 || len(g.stored) != 100 {
		t.Fatalf("%+v\n%s", r, r.stderr)
	}
}
