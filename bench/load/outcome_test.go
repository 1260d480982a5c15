package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/ledger"
	"sluice/bench/result"
)

// run is Run, with a ledger.
func run(t *testing.T, p *Plan, o Options) (*result.Run, *ledger.Ledger) {
	t.Helper()
	l := &ledger.Ledger{}
	o.Ledger = l
	r, err := Run(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, l
}

// ends is the sum of all classes that an event can end in.
func ends(t result.Totals) uint64 {
	n := t.Accepted + t.Duplicates + t.Rejected + t.Failed + t.Unknown + t.Unsent
	for _, k := range t.Refused {
		n += k
	}
	return n
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestEveryEventEndsInOneClass(t *testing.T) {
	const batch, requests = 5, 20
	ok := `{"ack":"stored","accepted":5,"duplicates":0,"rejected":0,"failed":0}`
	for _, tc := range []struct {
		name    string
		answer  func(w http.ResponseWriter, n int)
		want    result.Totals
		refused map[string]uint64
		ledger  map[ledger.Outcome]uint64
	}{
		{"all are accepted", func(w http.ResponseWriter, n int) { reply(w, 200, ok) },
			result.Totals{Accepted: 100}, nil, map[ledger.Outcome]uint64{ledger.Accepted: 100}},
		{"a body that is not sluice's speaks for all", func(w http.ResponseWriter, n int) { reply(w, 204, "") },
			result.Totals{Accepted: 100}, nil, map[ledger.Outcome]uint64{ledger.Accepted: 100}},
		{"a mixed answer is counted event by event", func(w http.ResponseWriter, n int) {
			reply(w, 207, `{"ack":"stored","accepted":2,"duplicates":0,"rejected":1,"failed":2,"errors":[`+
				`{"index":0,"outcome":"rejected","code":"x"},{"index":3,"outcome":"failed","code":"y"},{"index":4,"outcome":"failed","code":"y"}]}`)
		}, result.Totals{Accepted: 40, Rejected: 20, Failed: 40}, nil,
			map[ledger.Outcome]uint64{ledger.Accepted: 40, ledger.Rejected: 20, ledger.Failed: 40}},
		{"a refusal is of the whole request, under its code", func(w http.ResponseWriter, n int) {
			reply(w, 429, `{"status":429,"code":"no_credits","retry_after_ms":1000}`)
		}, result.Totals{}, map[string]uint64{"429 no_credits": 100}, map[ledger.Outcome]uint64{ledger.Refused: 100}},
		{"a refusal without a code has its status", func(w http.ResponseWriter, n int) { reply(w, 502, "bad gateway") },
			result.Totals{}, map[string]uint64{"502": 100}, map[ledger.Outcome]uint64{ledger.Refused: 100}},
		{"what may be stored all the same is not known", func(w http.ResponseWriter, n int) {
			reply(w, 503, `{"code":"outcome_unknown"}`)
		}, result.Totals{}, map[string]uint64{"503 outcome_unknown": 100}, map[ledger.Outcome]uint64{ledger.Unknown: 100}},
		{"a request of which no event is valid is events that are rejected", func(w http.ResponseWriter, n int) {
			reply(w, 422, `{"code":"validation_failed","errors":[{"index":0},{"index":1},{"index":2},{"index":3},{"index":4}]}`)
		}, result.Totals{Rejected: 100}, nil, map[ledger.Outcome]uint64{ledger.Rejected: 100}},
		{"more errors than events do not count", func(w http.ResponseWriter, n int) {
			reply(w, 422, `{"code":"x","errors":[{"index":0},{"index":1},{"index":2},{"index":3},{"index":4},{"index":5},{"index":-1}]}`)
		}, result.Totals{Rejected: 100}, nil, map[ledger.Outcome]uint64{ledger.Rejected: 100}},
		{"a connection that is cut leaves them unknown", func(w http.ResponseWriter, n int) { cut(w) },
			result.Totals{Unknown: 100}, nil, map[ledger.Outcome]uint64{ledger.Unknown: 100}},
		{"one after the other of everything", func(w http.ResponseWriter, n int) {
			switch n % 4 {
			case 0:
				reply(w, 200, ok)
			case 1:
				reply(w, 200, strings.Replace(ok, `"accepted":5,"duplicates":0`, `"accepted":0,"duplicates":5`, 1))
			case 2:
				reply(w, 429, `{"code":"no_credits"}`)
			default:
				cut(w)
			}
		}, result.Totals{Accepted: 25, Duplicates: 25, Unknown: 25}, map[string]uint64{"429 no_credits": 25},
			map[ledger.Outcome]uint64{ledger.Accepted: 25, ledger.Duplicate: 25, ledger.Refused: 25, ledger.Unknown: 25}},
	} {
		for _, loop := range []string{"closed", "open"} {
			t.Run(tc.name+"/"+loop, func(t *testing.T) {
				var got atomic.Int64
				p := serve(t, batch*requests, func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					tc.answer(w, int(got.Add(1)-1))
				})
				p.Events.Format, p.Events.Batch = NDJSON, batch
				if loop == "open" {
					openLoop(p, 1e6, time.Hour)
				}
				r, l := run(t, p, Options{})
				if got.Load() != requests || r.Totals.Requests != requests || r.Totals.Sent != batch*requests {
					t.Errorf("%d requests came, %d were counted, with %d events", got.Load(), r.Totals.Requests, r.Totals.Sent)
				}
				if n := ends(r.Totals); n != batch*requests {
					t.Errorf("%d events have an end", n)
				}
				g := r.Totals
				if g.Accepted != tc.want.Accepted || g.Duplicates != tc.want.Duplicates || g.Rejected != tc.want.Rejected ||
					g.Failed != tc.want.Failed || g.Unknown != tc.want.Unknown || g.Unsent != 0 {
					t.Errorf("got %+v", g)
				}
				if tc.refused == nil {
					tc.refused = map[string]uint64{}
				}
				if !maps.Equal(g.Refused, tc.refused) {
					t.Errorf("refused: got %v, want %v", g.Refused, tc.refused)
				}
				if !maps.Equal(l.Count(), tc.ledger) {
					t.Errorf("ledger: got %v, want %v", l.Count(), tc.ledger)
				}
			})
		}
	}
}

func TestATimeOutLeavesEventsUnknown(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	p := serve(t, 4, func(w http.ResponseWriter, r *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			<-release // longer than anybody waits
		}
		reply(w, 200, "{}")
	})
	defer close(release)
	p.Timeout = 20 * time.Millisecond
	r, _ := run(t, p, Options{})
	if r.Totals.Unknown < 1 || ends(r.Totals) != 4 {
		t.Errorf("got %+v", r.Totals)
	}
	if r.Latency.Max < p.Timeout.Microseconds() {
		t.Errorf("the time waited is not in the latencies: at most %d µs", r.Latency.Max)
	}
}

// TestAStallIsSeenByEveryRequestItDelays stalls the first of fifty requests that
// are due a millisecond apart: each of the others is answered at once when it is
// sent, and has been due for what was left of the stall.
func TestAStallIsSeenByEveryRequestItDelays(t *testing.T) {
	const requests = 50
	var first sync.Once
	var stall time.Duration
	p := serve(t, requests, func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() {
			began := time.Now()
			<-time.After(requests * 2 * time.Millisecond)
			stall = time.Since(began)
		})
		reply(w, 200, "{}")
	})
	openLoop(p, 1000, time.Hour)
	r, _ := run(t, p, Options{})
	least := time.Duration(0)
	for k := range requests {
		least += stall - time.Duration(k)*time.Millisecond
	}
	if sum := time.Duration(r.Latency.Mean*float64(r.Latency.Count)) * time.Microsecond; sum < least*99/100 {
		t.Errorf("%d requests waited %v together, of a stall that cost them %v", r.Latency.Count, sum, least)
	}
	if late := time.Duration(r.Generator.LateP99) * time.Microsecond; late >= stall {
		t.Errorf("the generator takes the stall of %v for its own lateness: %v", stall, late)
	}
	if r.Totals.Accepted != requests {
		t.Errorf("got %+v", r.Totals)
	}
}

func TestWhatWasDueAndNotSentIsCounted(t *testing.T) {
	release := make(chan struct{})
	p := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		<-release
		reply(w, 200, "{}")
	})
	openLoop(p, 1000, 300*time.Millisecond)
	p.Warmup = 100 * time.Millisecond
	go func() {
		<-time.After(600 * time.Millisecond) // the run's end is long over: it waits for its one answer
		close(release)
	}()
	r, _ := run(t, p, Options{})
	if got := r.Totals; got.Unsent != 300 || got.Sent != 0 || ends(got) != 300 {
		t.Errorf("of 300 that were due, the only request being one of the warm-up: %+v", got)
	}
}

func TestTheWarmUpIsNotCounted(t *testing.T) {
	var got atomic.Uint64
	p := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		got.Add(1)
		reply(w, 200, "{}")
	})
	openLoop(p, 1000, 200*time.Millisecond)
	p.Warmup, p.Connections = 300*time.Millisecond, 4
	r, l := run(t, p, Options{})
	if got.Load() != 500 || r.Totals.Accepted != 200 || r.Seconds != 0.2 || r.Warmup != 0.3 {
		t.Errorf("%d requests, %+v in %v s", got.Load(), r.Totals, r.Seconds)
	}
	if l.Count()[ledger.Accepted] != 500 {
		t.Errorf("the ledger has the warm-up too: got %v", l.Count())
	}
}

func TestRefusedRequestsAreSentAgain(t *testing.T) {
	var seen sync.Map
	ids := make(chan string, 100)
	p := serve(t, 10, func(w http.ResponseWriter, r *http.Request) {
		var e struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		n, _ := seen.LoadOrStore(e.ID, new(atomic.Int64))
		ids <- e.ID
		switch n.(*atomic.Int64).Add(1) {
		case 1:
			w.Header().Set("Retry-After", "0")
			reply(w, 429, `{"code":"no_credits"}`)
		case 2:
			cut(w)
		default:
			reply(w, 200, `{"accepted":1,"duplicates":0,"rejected":0,"failed":0}`)
		}
	})
	p.Retry = true
	r, l := run(t, p, Options{})
	if r.Totals.Requests != 30 || r.Totals.Accepted != 10 || r.Totals.Sent != 10 || len(ids) != 30 {
		t.Errorf("%d requests came: %+v", len(ids), r.Totals)
	}
	if l.Count()[ledger.Accepted] != 10 {
		t.Errorf("ledger: got %v", l.Count())
	}
}

func TestAnInterruptEndsTheRunWithWhatThereIs(t *testing.T) {
	stop := make(chan struct{})
	var got atomic.Uint64
	p := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if got.Add(1) == 20 {
			close(stop)
		}
		reply(w, 200, "{}")
	})
	for _, loop := range []string{"closed", "open"} {
		t.Run(loop, func(t *testing.T) {
			stop = make(chan struct{})
			got.Store(0)
			if loop == "open" {
				openLoop(p, 500, time.Hour)
			}
			r, _ := run(t, p, Options{Stop: stop})
			if r.Stopped != "interrupted" || r.Totals.Accepted < 20 || ends(r.Totals) != r.Totals.Sent+r.Totals.Unsent {
				t.Errorf("%q: %+v", r.Stopped, r.Totals)
			}
			if r.Totals.Accepted != got.Load() {
				t.Errorf("%d accepted of %d", r.Totals.Accepted, got.Load())
			}
		})
	}
}

func TestTheEndOfTheContextGivesUpWhatIsUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := serve(t, 0, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server looks at the connection only then
		cancel()
		<-r.Context().Done() // the client is gone
	})
	r, err := Run(ctx, p, Options{})
	if err != nil || r.Stopped != "given up" || r.Totals.Unknown != 1 || r.Totals.Sent != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestTenantsShareTheLoadByTheirWeights(t *testing.T) {
	var byKey [2]atomic.Uint64
	p := serve(t, 400, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "Bearer small":
			byKey[0].Add(1)
		case "Bearer large":
			byKey[1].Add(1)
		}
		reply(w, 200, "{}")
	})
	p.Tenants = []Tenant{{Name: "small", Key: "small", Weight: 1}, {Name: "large", Key: "large", Weight: 3}}
	p.Connections = 8
	openLoop(p, 1e5, time.Hour)
	r, _ := run(t, p, Options{})
	if byKey[0].Load() != 100 || byKey[1].Load() != 300 {
		t.Errorf("got %d and %d", byKey[0].Load(), byKey[1].Load())
	}
	if len(r.Tenants) != 2 || r.Tenants[0].Totals.Accepted != 100 || r.Tenants[1].Totals.Accepted != 300 {
		t.Errorf("got %+v", r.Tenants)
	}
}

func TestATargetThatCannotBeReachedIsAnError(t *testing.T) {
	s := httptest.NewServer(nil)
	p := planFor(t, s.URL, 1)
	s.Close()
	for _, newConn := range []bool{false, true} {
		p.NewConn = newConn
		if _, err := Run(t.Context(), p, Options{}); err == nil || !strings.Contains(err.Error(), "cannot connect to "+p.Target.Address) {
			t.Errorf("got %v", err)
		}
	}
}

func TestTLSAndNewConnections(t *testing.T) {
	for _, newConn := range []bool{false, true} {
		t.Run(fmt.Sprint("new connections: ", newConn), func(t *testing.T) {
			var conns atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, 200, "{}") }))
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
			s.StartTLS()
			defer s.Close()
			p := planFor(t, s.URL, 10)
			p.NewConn = newConn
			p.Target.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			p.Target.TLS.ServerName = "example.com"
			r, _ := run(t, p, Options{})
			want := int64(1)
			if newConn {
				want = 11 // the first is to see whether there is anybody
			}
			if r.Totals.Accepted != 10 || conns.Load() != want {
				t.Errorf("%d connections, %+v", conns.Load(), r.Totals)
			}
		})
	}
}
