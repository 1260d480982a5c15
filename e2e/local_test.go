package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnEventThatWasStoredIsReadBackAfterARestart(t *testing.T) {
	t.Parallel()
	config := configure(t, localStore)
	p := serveReady(t, config)
	const first = `{ "type":"hello", "user":"ann", "id":"e-1","ts":"2026-01-02T03:04:05.678Z", "text":"\u00e9\n 1.50e+00", "n":1.50e+00 }`
	const second = `{"type":"hello","user":"ann","id":"e-2","ts":1767323045679}`
	c := p.as("acme")
	if a := c.post(t, "", asJSON, first); a.status != 200 || a.Ack != "stored" || a.Accepted != 1 || a.ID != "e-1" {
		t.Fatalf("got %v", a)
	}
	if a := c.post(t, "", asJSON, "["+second+"]"); a.status != 200 || a.Accepted != 1 {
		t.Fatalf("got %v", a)
	}
	want := []string{first, second}
	if got := c.events(t, "ann"); !slices.Equal(got, want) {
		t.Errorf("read back\n%q\nwant\n%q", got, want)
	}
	p.stop()
	if strings.Contains(p.log.String(), keyOf("acme")) {
		t.Error("the log tells a key")
	}

	c = serveReady(t, config).as("acme")
	if got := c.events(t, "ann"); !slices.Equal(got, want) {
		t.Errorf("after a restart\n%q\nwant\n%q", got, want)
	}
	if a := c.post(t, "", asNDJSON, first+"\n"+second); a.status != 200 {
		t.Errorf("sent again: %v", a)
	}
	if got := c.events(t, "ann"); !slices.Equal(got, want) {
		t.Errorf("sent again after a restart it is\n%q\nwant\n%q", got, want)
	}
}

func TestAnEventWithoutIDAndTimeIsGivenBoth(t *testing.T) {
	t.Parallel()
	c := serveReady(t, configure(t, localStore)).as("acme")
	before := time.Now().UnixMilli()
	a := c.post(t, "", asJSON, `{"type":"hello","user":7}`)
	if a.status != 200 || len(a.ID) != 36 {
		t.Fatalf("got %v", a)
	}
	got := c.events(t, "7")
	if len(got) != 1 {
		t.Fatalf("read back %q", got)
	}
	var e struct {
		ID   string
		User int
		TS   json.RawMessage
	}
	if err := json.Unmarshal([]byte(got[0]), &e); err != nil || e.ID != a.ID || e.User != 7 {
		t.Errorf("read back %s, the answer was %v", got[0], a)
	}
	var ms int64
	if json.Unmarshal(e.TS, &ms) != nil {
		var at time.Time
		if err := json.Unmarshal(e.TS, &at); err != nil {
			t.Fatalf("ts is %s", e.TS)
		}
		ms = at.UnixMilli()
	}
	if ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("the time that was filled in is %d, sent after %d", ms, before)
	}
}

// TestWhatWasAnswered200SurvivesKill9 kills the process in the middle of
// streams, again and again, and reads everything back at the end.
func TestWhatWasAnswered200SurvivesKill9(t *testing.T) {
	t.Parallel()
	config := configure(t, localStore)
	users := streams("u", 6)
	l := newLedger()
	unanswered := 0
	for round := range 5 {
		p := serveReady(t, config)
		c := p.as("acme")
		for _, u := range users {
			unanswered += len(l.open(u))
			l.settle(t, c, u) // as a client that lost its answer does
		}
		stop := l.sendUntil(c, users, 40, func(_ []*entry, a *answer, _ error) {
			if a != nil {
				t.Errorf("round %d: %v", round, a)
			}
		})
		l.awaitAcked(t, 100+rand.N(400))
		p.kill()
		stop()
	}
	p := serveReady(t, config)
	c := p.as("acme")
	found := make(map[string][]string)
	for _, u := range users {
		for _, text := range c.events(t, u) {
			id := idOf(t, text)
			found[id] = append(found[id], text)
		}
	}
	beyond := l.compare(t, found)
	t.Logf("%d events acknowledged over 5 kills, %d sent again, %d stored without an answer", l.acked.Load(), unanswered, beyond)
	p.stop()
}

func idOf(t *testing.T, text string) string {
	t.Helper()
	var e struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return strings.Trim(string(e.ID), `"`)
}

func TestPagesHoldEveryEventOnce(t *testing.T) {
	t.Parallel()
	c := serveReady(t, configure(t, localStore)).as("acme")
	l := newLedger()
	for range 5 {
		c.post(t, "", asNDJSON, texts(l.make("ann", 250, 0)))
	}
	a := c.get(t, "/v1/users/ann/events?from=1767225600010&to=1767225600012&order=asc")
	var page struct{ Events []struct{ Seq int } }
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || fmt.Sprint(page.Events) != "[{10} {11}]" {
		t.Errorf("from is inclusive and to exclusive: got %s", a.body)
	}
	all := c.events(t, "ann")
	for i, text := range all {
		if want := fmt.Sprintf("ann-%d", i); idOf(t, text) != want {
			t.Fatalf("event %d is %s, want %s", i, text, want)
		}
	}
	if len(all) != 1250 {
		t.Errorf("%d events, want 1250", len(all))
	}
}
