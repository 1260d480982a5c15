package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
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
