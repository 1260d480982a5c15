package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/memory"
)

// TestEveryEventHasOneFateUnderRandomFailures drives the pipeline with panics in
// every stage, and a sink that is slow, fails, fails in part and loses its
// answers, and holds what comes out against a model that is deliberately dumb:
//
//   - every event of every request is answered, once (a receipt that is settled
//     twice for an index, or never, shows in the credits);
//   - an event is in the sink exactly once if its sender was ever told stored or
//     duplicate, and at most once otherwise;
//   - what a user's sender sent and was told stored at the first attempt is in the
//     sink in the order in which it was sent;
//   - when all is answered, every credit is back.
func TestEveryEventHasOneFateUnderRandomFailures(t *testing.T) {
	for _, linger := range []time.Duration{-1, time.Millisecond} {
		t.Run(fmt.Sprintf("with linger %v", linger), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			chaos(t, seed, linger)
		})
	}
}

const (
	chaosClients  = 8
	chaosRequests = 150
	chaosUsers    = 5 // of each client: nobody else sends for them
)

func chaos(t *testing.T, seed uint64, linger time.Duration) {
	dice := &dice{rng: rand.New(rand.NewPCG(seed, 1))}
	sink := memory.New(memory.Options{Keep: true, Lanes: 3, Faults: dice.faults})
	cfg := testTenant("acme", sink)
	cfg.Users.PerUser = 16
	cfg.Users.Idle = 0 // every sweep passivates whoever it can
	cfg.Batch = BatchPolicy{MaxEvents: 7, MaxBytes: 1 << 20, Linger: linger}
	cfg.Sinks[0].Retry.GiveUp = time.Hour
	p := start(t, Options{Tenants: []TenantConfig{cfg}, Workers: 3, Rehearse: func(stage string, _ any) {
		if dice.roll(0.03) {
			panic("chaos in " + stage)
		}
	}})
	sweeping, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { // far more often than the clock would
		for sweeping.Err() == nil {
			p.sweep(time.Now())
			time.Sleep(time.Millisecond)
		}
	}()
	models := make([]*model, chaosClients)
	var wg sync.WaitGroup
	for c := range models {
		models[c] = &model{name: fmt.Sprintf("c%d", c), rng: rand.New(rand.NewPCG(seed, uint64(c)+2)),
			promised: map[string]bool{}, order: map[string][]string{}}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range chaosRequests {
				models[c].request(t, p.Tenant("acme"))
			}
		}()
	}
	wg.Wait()
	until(t, "every credit is back", func() bool { return p.tenants["acme"].credits.idle() })
	stored := map[string][]string{} // user → ids, as they are in the sink
	for _, e := range sink.Events("acme") {
		stored[e.User] = append(stored[e.User], e.ID)
	}
	for _, m := range models {
		m.compare(t, stored)
	}
}

// dice is a source of failures that many goroutines may roll.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (d *dice) roll(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64() < p
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

var errChaos = errors.New("chaos")

// faults fails a third of all writes in one way or another. A partial failure
// takes the rest of the batch with it: a later event of a user must not
// overtake an earlier one.
func (d *dice) faults(ctx context.Context, b *sinks.Batch) error {
	switch d.n(12) {
	case 0:
		return errChaos
	case 1:
		return memory.Lost(errChaos)
	case 2:
		failed := map[int]error{}
		for i := d.n(len(b.Events)); i < len(b.Events); i++ {
			failed[i] = errChaos
		}
		return &sinks.PartialError{Failed: failed}
	case 3:
		return &sinks.PartialError{Failed: map[int]error{d.n(len(b.Events)): sinks.Permanent(errChaos)}}
	case 4:
		time.Sleep(time.Duration(d.n(2000)) * time.Microsecond)
	}
	return nil
}

// model is one client and what it knows must hold.
type model struct {
	name     string
	rng      *rand.Rand
	next     int
	sent     []doc               // everything, for resends
	promised map[string]bool     // user/id told stored or duplicate
	order    map[string][]string // user → ids told stored at the first attempt
}

// request sends some new events and some sent before, and notes the answers.
func (m *model) request(t *testing.T, in *Intake) {
	var docs []doc
	fresh := map[int]bool{}
	for range 1 + m.rng.IntN(12) {
		if len(m.sent) > 0 && m.rng.IntN(4) == 0 {
			docs = append(docs, m.sent[m.rng.IntN(len(m.sent))])
			continue
		}
		m.next++
		d := doc{ID: fmt.Sprintf("%s-%d", m.name, m.next), Type: "t", User: fmt.Sprintf("%s-u%d", m.name, m.rng.IntN(chaosUsers)), N: m.next}
		fresh[len(docs)] = true
		docs = append(docs, d)
		m.sent = append(m.sent, d)
	}
	body := ndjson(t, docs...)
	if f := in.Reserve(len(body)); f != nil {
		t.Errorf("refused at the edge: %+v", f)
		return
	}
	r := in.Submit(event.Request{Body: body, Format: event.NDJSON, Ack: event.AckStored, Reserved: len(body), Received: time.Now()})
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Error("no answer")
		return
	}
	if f := r.Refusal(); f != nil {
		if f.Reason.Code != event.CodeQuarantined {
			t.Errorf("refused: %+v", f)
		}
		return
	}
	for i, o := range r.Outcomes() {
		d := docs[i]
		switch o.Fate {
		case event.Stored:
			if m.promised[d.User+"/"+d.ID] {
				t.Errorf("%s was stored as new twice", d.ID)
			}
			m.promised[d.User+"/"+d.ID] = true
			if fresh[i] {
				m.order[d.User] = append(m.order[d.User], d.ID)
			}
		case event.Duplicate:
			if !m.promised[d.User+"/"+d.ID] && fresh[i] {
				t.Errorf("%s is new and was called a duplicate", d.ID)
			}
			m.promised[d.User+"/"+d.ID] = true
		case event.Failed, event.Rejected:
			if o.Reason == nil {
				t.Errorf("%s failed without a reason", d.ID)
			}
		default:
			t.Errorf("%s has the fate %v", d.ID, o.Fate)
		}
	}
}

// compare holds the sink's contents against what m was told.
func (m *model) compare(t *testing.T, stored map[string][]string) {
	t.Helper()
	for u := range chaosUsers {
		user := fmt.Sprintf("%s-u%d", m.name, u)
		times := map[string]int{}
		place := map[string]int{}
		for at, id := range stored[user] {
			times[id]++
			place[id] = at
		}
		for id, n := range times {
			if n > 1 {
				t.Errorf("%s is in the sink %d times", id, n)
			}
		}
		last := -1
		for _, id := range m.order[user] {
			if place[id] < last {
				t.Errorf("user %s: %s is in the sink before one that was sent before it", user, id)
			}
			last = max(last, place[id])
		}
		for _, d := range m.sent {
			if d.User == user && m.promised[user+"/"+d.ID] && times[d.ID] == 0 {
				t.Errorf("%s was promised and is not in the sink", d.ID)
			}
		}
	}
	if len(m.order) == 0 {
		t.Error("nothing was stored at all: the test shows nothing")
	}
}
