package load

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestAConnectionThatHadGoneStaleIsReplaced: a server that closes a connection
// after each answer without saying so is one that closes idle connections. What is
// sent on one that was silent for long goes out again; on one that was just used it
// is a request without an answer.
func TestAConnectionThatHadGoneStaleIsReplaced(t *testing.T) {
	for _, tc := range []struct {
		name              string
		silent            time.Duration
		accepted, unknown uint64
	}{
		{"silent for long", 2 * staleAfter, 2, 0},
		{"just used", 0, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got atomic.Int64
			p := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
				got.Add(1)
				conn, out, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				out.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				out.Flush()
				conn.Close()
			})
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
			for range 2 {
				w.lane.take(w, r.now())
				w.send(t.Context())
				w.used -= tc.silent
			}
			c := w.shard.phases[1]
			if c.accepted != tc.accepted || c.unknown != tc.unknown || got.Load() != int64(tc.accepted) {
				t.Errorf("%d requests came: %+v", got.Load(), c.tally)
			}
		})
	}
}
