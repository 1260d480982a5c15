package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// ledger is what senders know: every event they sent, and what they were told.
type ledger struct {
	mu     sync.Mutex
	events map[string]*entry // by id
	acked  atomic.Int64      // entries that are
}

// entry is one event in a ledger.
type entry struct {
	id, user, text string
	acked          bool // 2xx: it is stored
	seq            int  // in its stream
}

func newLedger() *ledger { return &ledger{events: make(map[string]*entry)} }

// make returns n events more of the stream and writes them down. An event has
// its own ts, and is size bytes long or a little more.
func (l *ledger) make(stream string, n, size int) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var made []*entry
	for range n {
		seq := len(l.events)
		e := &entry{id: fmt.Sprintf("%s-%d", stream, seq), user: stream, seq: seq}
		e.text = fmt.Sprintf(`{"id":"%s","type":"step","user":"%s","ts":%d,"seq":%d,"pad":"%s"}`,
			e.id, e.user, 1767225600000+int64(seq), seq, strings.Repeat("x", max(0, size-100)))
		l.events[e.id] = e
		made = append(made, e)
	}
	return made
}

func (l *ledger) ack(entries []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if !e.acked {
			e.acked = true
			l.acked.Add(1)
		}
	}
}

// open returns the events of a stream of which it is not known that they are
// stored, in the order in which they were sent.
func (l *ledger) open(stream string) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var open []*entry
	for _, e := range l.events {
		if e.user == stream && !e.acked {
			open = append(open, e)
		}
	}
	return sorted(open)
}

func sorted(entries []*entry) []*entry {
	for i := 1; i < len(entries); i++ { // few, and nearly in order
		for j := i; j > 0 && entries[j].seq < entries[j-1].seq; j-- {
			entries[j], entries[j-1] = entries[j-1], entries[j]
		}
	}
	return entries
}

func texts(entries []*entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// batches sends the stream's events one after the other, single ones and
// batches in turn, until ctx is over or a request gets no answer or one that is
// no success, which it returns with the events it is about.
func (l *ledger) batches(ctx context.Context, c *client, stream string, most int) (unsure []*entry, a *answer, err error) {
	for ctx.Err() == nil {
		n, contentType := 1, asJSON
		if rand.N(2) == 0 {
			n, contentType = 1+rand.N(most), asNDJSON
		}
		sent := l.make(stream, n, 150)
		a, err := c.send("", contentType, strings.TrimSpace(texts(sent)))
		if err != nil || a.status != 200 {
			return sent, a, err
		}
		l.ack(sent)
	}
	return nil, nil, nil
}

// settle sends what is open again until it is stored.
func (l *ledger) settle(t *testing.T, c *client, stream string) {
	t.Helper()
	open := l.open(stream)
	if len(open) == 0 {
		return
	}
	eventually(t, "what is open is stored in the end", func() error {
		a, err := c.send("", asNDJSON, texts(open))
		if err != nil {
			return err
		}
		if a.status != 200 {
			return fmt.Errorf("the answer is %v", a)
		}
		l.ack(open)
		return nil
	})
}

// compare fails the test where found, the texts of events by id as often as
// they were found, is not what the ledger says: each acknowledged event once and
// unchanged, each other at most once, and nothing else. It returns how many were
// found without having been acknowledged.
func (l *ledger) compare(t *testing.T, found map[string][]string) (unacknowledged int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost, doubled, changed, foreign []string
	for id, e := range l.events {
		copies := found[id]
		switch {
		case len(copies) > 1:
			doubled = append(doubled, id)
		case len(copies) == 0 && e.acked:
			lost = append(lost, id)
		case len(copies) == 1 && copies[0] != e.text:
			changed = append(changed, id)
		case len(copies) == 1 && !e.acked:
			unacknowledged++
		}
	}
	for id := range found {
		if l.events[id] == nil {
			foreign = append(foreign, id)
		}
	}
	for what, ids := range map[string][]string{"lost": lost, "more than once": doubled, "changed": changed, "never sent": foreign} {
		if len(ids) > 0 {
			t.Errorf("of %d events %d are %s, such as %s", len(l.events), len(ids), what, ids[0])
		}
	}
	return unacknowledged
}

// sendUntil has a sender for each stream send until stop is called, which waits
// for them, or a request fails, which is handed to failed.
func (l *ledger) sendUntil(c *client, streams []string, most int, failed func([]*entry, *answer, error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, s := range streams {
		all.Go(func() {
			if unsure, a, err := l.batches(ctx, c, s, most); unsure != nil && failed != nil {
				failed(unsure, a, err)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// awaitAcked waits until so many events more are acknowledged.
func (l *ledger) awaitAcked(t *testing.T, more int) {
	t.Helper()
	want := l.acked.Load() + int64(more)
	eventually(t, "senders get on", func() error {
		if n := l.acked.Load(); n < want {
			return fmt.Errorf("%d of %d are acknowledged", n, want)
		}
		return nil
	})
}

func streams(name string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", name, i))
	}
	return all
}
