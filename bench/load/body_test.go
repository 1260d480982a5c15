package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/bench/ledger"
)

// event is what a generated event has.
type event struct {
	ID, Type, User, Text string
	TS                   int64
}

// request parses what the writer has made.
func request(t *testing.T, w *writer) (*http.Request, []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(w.out)))
	if err != nil {
		t.Fatalf("%v:\n%s", err, w.out)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != r.ContentLength {
		t.Fatalf("%d bytes of %d", len(body), r.ContentLength)
	}
	return r, body
}

func TestBodies(t *testing.T) {
	for _, tc := range []struct {
		format Format
		batch  int
		split  func(t *testing.T, body []byte) [][]byte
	}{
		{Single, 1, func(_ *testing.T, body []byte) [][]byte { return [][]byte{body} }},
		{NDJSON, 3, func(_ *testing.T, body []byte) [][]byte {
			return bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
		}},
		{Array, 3, func(t *testing.T, body []byte) [][]byte {
			var list []json.RawMessage
			if err := json.Unmarshal(body, &list); err != nil {
				t.Fatal(err)
			}
			var all [][]byte
			for _, e := range list {
				all = append(all, e)
			}
			return all
		}},
		{OTLP, 3, func(t *testing.T, body []byte) [][]byte {
			var logs struct {
				ResourceLogs []struct {
					ScopeLogs []struct {
						LogRecords []struct {
							TimeUnixNano, TraceID string
							Body                  struct{ BytesValue []byte }
						}
					}
				}
			}
			if err := json.Unmarshal(body, &logs); err != nil {
				t.Fatal(err)
			}
			var all [][]byte
			traces := map[string]string{} // by user
			for _, r := range logs.ResourceLogs[0].ScopeLogs[0].LogRecords {
				all = append(all, r.Body.BytesValue)
				var event struct{ User string }
				if err := json.Unmarshal(r.Body.BytesValue, &event); err != nil {
					t.Fatal(err)
				}
				if traces[event.User] == "" {
					traces[event.User] = r.TraceID
				}
				if len(r.TraceID) != 32 || r.TraceID != traces[event.User] {
					t.Errorf("trace id %q of %s, whose first event has %q", r.TraceID, event.User, traces[event.User])
				}
			}
			return all
		}},
	} {
		t.Run(string(tc.format), func(t *testing.T) {
			p := planFor(t, "http://x", 0)
			p.Events.Format, p.Events.Batch, p.Target.Headers = tc.format, tc.batch, [][2]string{{"X-Shop", "7"}}
			w := newWriter(newSource(p, 8), 7, "key")
			for n := range 5 {
				w.build(time.Second)
				r, body := request(t, w)
				if r.Method != "POST" || r.URL.Path != "/v1/events" || r.Host != "x" || r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("X-Shop") != "7" {
					t.Fatalf("got %+v", r)
				}
				events := tc.split(t, body)
				if len(events) != tc.batch || len(w.sent.n) != tc.batch {
					t.Fatalf("%d events, %d noted", len(events), len(w.sent.n))
				}
				for i, text := range events {
					var e event
					if err := json.Unmarshal(text, &e); err != nil {
						t.Fatalf("%v: %s", err, text)
					}
					if want := fmt.Sprintf("test-7-%d", n*tc.batch+i); e.ID != want || int(w.sent.n[i]) != n*tc.batch+i {
						t.Errorf("id %q, want %q; noted %d", e.ID, want, w.sent.n[i])
					}
					if e.User != ledger.UserName(w.sent.user[i]) || e.Type != "bench.event" || e.TS != w.src.began+1000 || len(text) != 200 {
						t.Errorf("%d bytes: %s", len(text), text)
					}
				}
			}
		})
	}
}

func TestCompressedBodies(t *testing.T) {
	for coding, unpack := range map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
	} {
		t.Run(coding, func(t *testing.T) {
			p := planFor(t, "http://x", 0)
			p.Events.Format, p.Events.Batch, p.Events.Compress = NDJSON, 100, coding
			w := newWriter(newSource(p, 1), 0, "")
			for range 3 {
				w.build(0)
				r, body := request(t, w)
				in, err := unpack(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(in)
				if err != nil || len(plain) != w.bytes || bytes.Count(plain, []byte("\n")) != 100 {
					t.Errorf("%d bytes, want %d, %v", len(plain), w.bytes, err)
				}
				if r.Header.Get("Content-Encoding") != coding || len(body) > len(plain)*4/5 {
					t.Errorf("%q: %d bytes of %d", r.Header.Get("Content-Encoding"), len(body), len(plain))
				}
			}
		})
	}
}

func TestEventsThatAreNotWhatTheyShouldBe(t *testing.T) {
	plan := func(change func(*Events)) *writer {
		p := planFor(t, "http://x", 0)
		p.Events.Format, p.Events.Batch, p.Events.OverBytes = NDJSON, 1000, 5000
		change(&p.Events)
		w := newWriter(newSource(p, 1), 0, "")
		w.build(0)
		w.accepted()
		w.build(0)
		return w
	}
	lines := func(w *writer) []string {
		_, body := request(t, w)
		return strings.Split(strings.TrimSpace(string(body)), "\n")
	}
	about := func(n, want int) bool { return n > want-100 && n < want+100 } // of 1000, with a fixed seed
	t.Run("duplicates have the id and the user of an event that was accepted", func(t *testing.T) {
		w := plan(func(e *Events) { e.Duplicates = 0.3 })
		again := 0
		for i, text := range lines(w) {
			var e event
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			var n int
			fmt.Sscanf(e.ID, "test-0-%d", &n)
			if w.sent.n[i] >= 0 {
				continue
			}
			again++
			if n >= 1000 || e.User != ledger.UserName(w.sent.user[i]) {
				t.Errorf("%s is none", text)
			}
		}
		if !about(again, 300) {
			t.Errorf("%d of 1000", again)
		}
	})
	t.Run("a type is missing", func(t *testing.T) {
		n := 0
		for _, text := range lines(plan(func(e *Events) { e.Invalid = 0.3 })) {
			var e event
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatal(err)
			}
			if e.Type == "" {
				n++
			}
		}
		if !about(n, 300) {
			t.Errorf("%d of 1000", n)
		}
	})
	t.Run("JSON is broken", func(t *testing.T) {
		n := 0
		for _, text := range lines(plan(func(e *Events) { e.Invalid, e.Broken = 0.3, true })) {
			if !json.Valid([]byte(text)) {
				n++
			}
		}
		if !about(n, 300) {
			t.Errorf("%d of 1000", n)
		}
	})
	t.Run("some are too large", func(t *testing.T) {
		n := 0
		for _, text := range lines(plan(func(e *Events) { e.Oversize = 0.3 })) {
			if len(text) == 5000 {
				n++
			}
		}
		if !about(n, 300) {
			t.Errorf("%d of 1000", n)
		}
	})
}

func TestRecords(t *testing.T) {
	p := planFor(t, "http://x", 0)
	p.Events.Records = []Record{
		{Whole: []byte(`{"as":"it is"}`)},
		{Head: []byte(`{"id":`), Middle: []byte(`,"x":1,"user":`), Tail: []byte(`,"y":2}`)},
		{Head: []byte(`{"user":`), Middle: []byte(`,"id":`), Tail: []byte(`}`), UserFirst: true},
	}
	w := newWriter(newSource(p, 1), 0, "")
	for n, want := range []string{`{"as":"it is"}`, `{"id":"test-0-1","x":1,"user":"u%d","y":2}`, `{"user":"u%d","id":"test-0-2"}`, `{"as":"it is"}`} {
		w.build(0)
		_, body := request(t, w)
		var got bytes.Buffer
		if err := json.Compact(&got, body); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if strings.Contains(want, "%d") {
			want = fmt.Sprintf(want, w.sent.user[0])
		}
		if n != 0 && n != 3 && got.String() != want || n%3 == 0 && string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
	}
}

// TestARequestMakesNothing is why the generator is lean: once a connection is up,
// it allocates nothing.
func TestARequestMakesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ServeNull(ctx, l, 10) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	p := planFor(t, "http://"+l.Addr().String(), 0)
	p.Events.Format, p.Events.Batch, p.Events.Duplicates, p.Users.Zipf = NDJSON, 10, 0.1, 1
	r, err := newRunner(p, Options{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.alarm.close()
	r.began = time.Now()
	w := r.workers[0]
	if err := w.wire.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.wire.down()
	once := func() {
		if ready, ok := w.lane.take(w, r.now()); !ready || !ok {
			t.Fatal("there is nothing to send")
		}
		w.send(t.Context())
	}
	for range 200 {
		once()
	}
	if n := testing.AllocsPerRun(1000, once); n > 0 {
		t.Errorf("it makes %v", n)
	}
	if got := w.shard.phases[1].accepted; got != 1201*10 {
		t.Errorf("%d accepted", got)
	}
}
