package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSendKeepsTheOrderOfUsers sends through a gateway that refuses, fails and
// cuts at random.
func TestSendKeepsTheOrderOfUsers(t *testing.T) {
	g := newFakeGateway(t)
	random := rand.New(rand.NewPCG(1, 2))
	g.misbehave = func(_ int, w http.ResponseWriter, events []postedEvent, store func() []postedResult) bool {
		g.mu.Lock()
		dice := random.IntN(8)
		g.mu.Unlock()
		switch dice {
		case 0:
			fakeProblem(w, 429, "no_credits", nil)
		case 1:
			store()
			cut(w)
		case 2:
			cut(w)
		default:
			return false
		}
		return true
	}
	const n = 1000
	file := writeFile(t, "a.ndjson", strings.Join(lines(n, true), "\n"))
	r := runSend(t, nil, "--url", g.URL, "--concurrency=8", "--batch=17", file)
	if r.exit != 0 || r.Accepted+r.Duplicates != n || len(g.stored) != n {
		t.Fatalf("%+v\n%s", r.sendSummary, r.stderr)
	}
	last := map[string]int{}
	for _, e := range g.stored {
		if before, ok := last[e.User]; ok && before >= e.Seq {
			t.Fatalf("event %d of %s came after %d", e.Seq, e.User, before)
		}
		last[e.User] = e.Seq
	}
}

func TestSendRate(t *testing.T) {
	g := newFakeGateway(t)
	begin := time.Now()
	r := runSend(t, strings.NewReader(strings.Join(lines(60, true), "\n")), "--url", g.URL, "--rate=200", "--batch=20", "--concurrency=1", "-")
	if r.exit != 0 || time.Since(begin) < 150*time.Millisecond {
		t.Errorf("60 events at 200/s, 20 of them at once, in %v: %+v", time.Since(begin), r)
	}
}

func TestSendOfASlowStreamDoesNotWaitForFullBatches(t *testing.T) {
	g := newFakeGateway(t)
	in, out := io.Pipe()
	arrived := make(chan int, 10)
	g.misbehave = func(_ int, _ http.ResponseWriter, events []postedEvent, _ func() []postedResult) bool {
		arrived <- events[0].Seq
		return false
	}
	go func() {
		defer out.Close()
		for i, line := range lines(3, true) {
			io.WriteString(out, line+"\n")
			if seq := <-arrived; seq != i {
				t.Errorf("event %d arrived, not %d", seq, i)
			}
		}
	}()
	if r := runSend(t, in, "--url", g.URL, "-"); r.exit != 0 || r.Accepted != 3 {
		t.Errorf("%+v\n%s", r, r.stderr)
	}
}

func TestSendCompresses(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd", "none"} {
		g := newFakeGateway(t)
		r := runSend(t, strings.NewReader(strings.Join(lines(500, true), "\n")), "--url", g.URL, "--compress", coding, "--batch=50", "-")
		want := coding
		if coding == "none" {
			want = ""
		}
		if r.exit != 0 || len(g.stored) != 500 || g.codings[0] != want {
			t.Errorf("%s: exit %d, %d stored, sent as %q", coding, r.exit, len(g.stored), g.codings[0])
		}
	}
}

// TestSendWaits is how long a lane waits before it repeats a request, by the
// clock of a bubble.
func TestSendWaits(t *testing.T) {
	const giveUp = 5 * time.Minute
	for _, tc := range []struct {
		name         string
		retryAfter   time.Duration
		attempts     int           // before this one
		idle         time.Duration // since something was accepted
		least, most  time.Duration
		stopsInstead bool
	}{
		{name: "the first repetition comes soon", least: 50 * time.Millisecond, most: 75 * time.Millisecond},
		{name: "the next ones take their time", attempts: 3, least: 400 * time.Millisecond, most: 600 * time.Millisecond},
		{name: "but not more than ten seconds", attempts: 1000, least: 5 * time.Second, most: 7500 * time.Millisecond},
		{name: "what the answer asks for is obeyed, with up to a quarter more", retryAfter: 8 * time.Second, least: 8 * time.Second, most: 10 * time.Second},
		{name: "a wait for longer than --give-up ends with it", retryAfter: maxRetryAfter, least: giveUp, most: giveUp},
		{name: "what is left of --give-up counts", retryAfter: time.Minute, idle: giveUp - time.Second, least: time.Second, most: time.Second},
		{name: "after --give-up nothing is repeated", idle: giveUp, stopsInstead: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sender{cmd: sendCmd{GiveUp: giveUp, Quiet: true}, stopping: make(chan struct{})}
				s.report = &sendReport{s: s}
				l := &sendLane{s: s, progress: time.Now().Add(-tc.idle), attempts: tc.attempts}
				begin := time.Now()
				l.wait(&sendAnswer{status: 503, retryAfter: tc.retryAfter}, 1)
				if took := time.Since(begin); took < tc.least || took > tc.most {
					t.Errorf("waited %v, want %v to %v", took, tc.least, tc.most)
				}
				var gaveUp *gaveUpError
				if s.stopped() != tc.stopsInstead || tc.stopsInstead && !errors.As(s.cause, &gaveUp) {
					t.Errorf("stopped: %v, because of %v", s.stopped(), s.cause)
				}
			})
		})
	}
}
