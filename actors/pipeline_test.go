package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/event"
	"sluice/messages"
	"sluice/sinks"
	"sluice/sinks/memory"
)

// gate is Faults that hold every write back until it is opened.
type gate struct{ open chan struct{} }

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) hold(ctx context.Context, _ *sinks.Batch) error {
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitInFlight waits until n events of the user are in flight, duplicates that
// wait for one of them counted.
func awaitInFlight(t *testing.T, in *Intake, user string, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d events of %s are in flight", n, user), func() bool {
		s, _, err := in.Status(t.Context(), user)
		return err == nil && s.InFlight == n
	})
}

func ids(events []event.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func TestEventsAreStoredInOrderAndAnsweredOnce(t *testing.T) {
	sink := memory.New(memory.Options{Keep: true})
	p := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}})
	in := p.Tenant("acme")
	var want []string
	for i := range 20 {
		var docs []doc
		for j := range 10 {
			id := fmt.Sprintf("%d-%d", i, j)
			want = append(want, id)
			docs = append(docs, doc{ID: id, Type: "a", User: "ann"}, doc{ID: id, Type: "a", User: fmt.Sprintf("u%d", j)})
		}
		for k, o := range send(t, in, docs...) {
			if o.Fate != event.Stored || o.Where == "" || o.ID != docs[k].ID {
				t.Fatalf("event %d of request %d: %+v", k, i, o)
			}
		}
	}
	var got []string
	for _, e := range sink.Events("acme") {
		if e.User == "ann" {
			got = append(got, e.ID)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ann's events arrived as %v", got)
	}
}

func TestDuplicates(t *testing.T) {
	a := doc{ID: "a", Type: "t", User: "ann"}
	t.Run("inside one request are answered as duplicates and stored once", func(t *testing.T) {
		sink := memory.New(memory.Options{Keep: true})
		in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}}).Tenant("acme")
		if got := fates(send(t, in, a, a, doc{ID: "a", Type: "t", User: "bob"})); got != "s d s" {
			t.Errorf("fates %q", got)
		}
		if n := len(sink.Events("acme")); n != 2 {
			t.Errorf("%d events stored", n)
		}
	})
	t.Run("across requests are answered as duplicates and stored once", func(t *testing.T) {
		sink := memory.New(memory.Options{Keep: true})
		in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}}).Tenant("acme")
		if got := fates(send(t, in, a)) + fates(send(t, in, a)); got != "sd" {
			t.Errorf("fates %q", got)
		}
		if n := len(sink.Events("acme")); n != 1 {
			t.Errorf("%d events stored", n)
		}
	})
	t.Run("of an event in flight wait for its outcome", func(t *testing.T) {
		g := newGate()
		sink := memory.New(memory.Options{Keep: true, Faults: g.hold})
		in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}}).Tenant("acme")
		first := submit(t, in, event.AckStored, ndjson(t, a))
		awaitInFlight(t, in, "ann", 1)
		second := submit(t, in, event.AckStored, ndjson(t, a))
		awaitInFlight(t, in, "ann", 2)
		select {
		case <-second.Done():
			t.Fatal("the duplicate was answered before the first was stored")
		default:
		}
		close(g.open)
		if got := fates(await(t, first)) + fates(await(t, second)); got != "sd" {
			t.Errorf("fates %q", got)
		}
	})
	t.Run("of an event that fails fail with it, and a resend is new", func(t *testing.T) {
		g := newGate()
		var mu sync.Mutex
		broken := true
		sink := memory.New(memory.Options{Keep: true, Faults: func(ctx context.Context, b *sinks.Batch) error {
			if err := g.hold(ctx, b); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return sinks.Permanent(errors.New("no"))
			}
			return nil
		}})
		in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}}).Tenant("acme")
		first := submit(t, in, event.AckStored, ndjson(t, a))
		awaitInFlight(t, in, "ann", 1)
		second := submit(t, in, event.AckStored, ndjson(t, a))
		awaitInFlight(t, in, "ann", 2)
		close(g.open)
		if got := fates(await(t, first)) + " " + fates(await(t, second)); got != "r:sink_rejected r:sink_rejected" {
			t.Errorf("fates %q", got)
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		if got := fates(send(t, in, a)); got != "s" {
			t.Errorf("resend: %q", got)
		}
	})
}

func TestUserCapRefusesOnlyThatUser(t *testing.T) {
	g := newGate()
	sink := memory.New(memory.Options{Keep: true, Faults: g.hold})
	cfg := testTenant("acme", sink)
	cfg.Users.PerUser = 2
	in := start(t, Options{Tenants: []TenantConfig{cfg}}).Tenant("acme")
	r := submit(t, in, event.AckStored, ndjson(t,
		doc{ID: "1", Type: "t", User: "hot"}, doc{ID: "2", Type: "t", User: "hot"},
		doc{ID: "3", Type: "t", User: "hot"}, doc{ID: "1", Type: "t", User: "cold"}))
	until(t, "three are in flight", func() bool {
		hot, _, _ := in.Status(t.Context(), "hot")
		cold, _, _ := in.Status(t.Context(), "cold")
		return hot.InFlight == 2 && cold.InFlight == 1
	})
	close(g.open)
	if got := fates(await(t, r)); got != "s s f:user_limit s" {
		t.Errorf("fates %q", got)
	}
}

func TestReceivedIsAnsweredBeforeTheSink(t *testing.T) {
	g := newGate()
	sink := memory.New(memory.Options{Keep: true, Faults: g.hold})
	p := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}})
	in := p.Tenant("acme")
	d := doc{ID: "1", Type: "t", User: "ann"}
	if got := fates(await(t, submit(t, in, event.AckReceived, ndjson(t, d, d)))); got != "r d" {
		t.Errorf("fates %q", got)
	}
	if p.tenants["acme"].credits.idle() {
		t.Error("the credits came back before the event had its fate")
	}
	close(g.open)
	until(t, "the event is stored and its credits are back", func() bool {
		return len(sink.Events("acme")) == 1 && p.tenants["acme"].credits.idle()
	})
}

func TestStoredMeansStoredInEverySink(t *testing.T) {
	g := newGate()
	fast, slow := memory.New(memory.Options{Keep: true}), memory.New(memory.Options{Keep: true, Faults: g.hold})
	in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", fast, slow)}}).Tenant("acme")
	r := submit(t, in, event.AckStored, ndjson(t, doc{ID: "1", Type: "t", User: "ann"}))
	until(t, "the first sink has it", func() bool { return len(fast.Events("acme")) == 1 })
	select {
	case <-r.Done():
		t.Fatal("answered before the second sink had it")
	default:
	}
	close(g.open)
	if got := fates(await(t, r)); got != "s" || len(slow.Events("acme")) != 1 {
		t.Errorf("fates %q, %d in the second sink", got, len(slow.Events("acme")))
	}
}

func TestTheEdgeRefuses(t *testing.T) {
	g := newGate()
	cfg := testTenant("acme", memory.New(memory.Options{Faults: g.hold}))
	cfg.Budget = Budget{Bytes: 1000, Events: 2}
	cfg.Rate = Rate{EventsPerSecond: 0.001, Burst: 2}
	p := start(t, Options{Tenants: []TenantConfig{cfg}})
	in := p.Tenant("acme")
	refusal := func(docs ...doc) *event.Refusal {
		body := ndjson(t, docs...)
		if f := in.Reserve(len(body)); f != nil {
			return f
		}
		r := in.Submit(event.Request{Body: body, Format: event.NDJSON, Ack: event.AckStored, Reserved: len(body), Received: time.Now()})
		<-r.Done()
		return r.Refusal()
	}
	d := func(id string) doc { return doc{ID: id, Type: "t", User: "ann"} }
	check := func(name string, f *event.Refusal, kind event.RefusalKind, code, scope string) {
		t.Helper()
		switch {
		case f == nil:
			t.Errorf("%s: not refused", name)
		case f.Kind != kind || f.Reason.Code != code || f.Scope != scope:
			t.Errorf("%s: %+v", name, f)
		case kind != event.TooLarge && (f.RetryAfter < time.Second || f.RetryAfter > time.Hour):
			t.Errorf("%s: come back after %v", name, f.RetryAfter)
		}
	}
	if f := in.Reserve(1001); f == nil {
		t.Error("more bytes than the budget were reserved")
	} else {
		check("bytes", f, event.Busy, event.CodeNoCredits, "tenant")
	}
	check("more events than the budget will ever have", refusal(d("1"), d("2"), d("3")), event.TooLarge, event.CodeTooManyEvents, "")
	first := submit(t, in, event.AckStored, ndjson(t, d("1"), d("2")))
	until(t, "both are in flight", func() bool { return p.tenants["acme"].credits.events.Load() == 2 })
	check("no event credits left", refusal(d("3")), event.Busy, event.CodeNoCredits, "tenant")
	close(g.open)
	await(t, first)
	check("the rate is used up", refusal(d("3")), event.Busy, event.CodeRateLimited, "rate")
	if !p.tenants["acme"].credits.idle() {
		t.Error("credits are missing")
	}
	p.draining.Store(true)
	check("draining", refusal(d("4")), event.Unavailable, event.CodeDraining, "")
}

func TestASinkThatIsGoneRefusesAtOnceAndRecovers(t *testing.T) {
	var mu sync.Mutex
	var gone error
	set := func(err error) { mu.Lock(); gone = err; mu.Unlock() }
	get := func() error { mu.Lock(); defer mu.Unlock(); return gone }
	sink := memory.New(memory.Options{Keep: true,
		Faults: func(context.Context, *sinks.Batch) error { return get() },
		Probe:  func(context.Context) error { return get() }})
	cfg := testTenant("acme", sink)
	cfg.Sinks[0].Circuit.Failures = 3
	p := start(t, Options{Tenants: []TenantConfig{cfg}})
	in := p.Tenant("acme")
	set(errors.New("unplugged"))
	held := submit(t, in, event.AckStored, ndjson(t, doc{ID: "1", Type: "t", User: "ann"}))
	until(t, "the circuit opens", func() bool { _, all := p.Ready(); return all[0].State == CircuitOpen })
	_, all := p.Ready()
	if all[0].Reason != "unplugged" {
		t.Errorf("the reason is %q", all[0].Reason)
	}
	if f := in.Reserve(1); f == nil || f.Kind != event.Unavailable || f.Reason.Code != event.CodeSinkUnavailable {
		t.Errorf("while open: %+v", f)
	}
	set(nil)
	if got := fates(await(t, held)); got != "s" {
		t.Errorf("the one in flight: %q", got)
	}
	until(t, "the circuit closes", func() bool { _, all := p.Ready(); return all[0].State == CircuitReady })
	if got := fates(send(t, in, doc{ID: "2", Type: "t", User: "ann"})); got != "s" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestDrainingGivesUpOnADeadSinkInTime(t *testing.T) {
	sink := memory.New(memory.Options{Faults: func(ctx context.Context, _ *sinks.Batch) error { <-ctx.Done(); return ctx.Err() }})
	o := Options{Tenants: []TenantConfig{testTenant("acme", sink)}, Log: quiet()}
	o.Tenants[0].Sinks[0].Retry.GiveUp = time.Hour
	o.Tenants[0].Sinks[0].Retry.Timeout = time.Hour
	p := start(t, o)
	r := submit(t, p.Tenant("acme"), event.AckStored, ndjson(t, doc{ID: "1", Type: "t", User: "ann"}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := p.Drain(ctx); err == nil {
		t.Error("Drain did not say that it gave something up")
	}
	if ctx.Err() != nil {
		t.Error("Drain took longer than it may")
	}
	if got := fates(await(t, r)); got != "f:sink_unavailable" {
		t.Errorf("fates %q", got)
	}
}

func TestPassivation(t *testing.T) {
	sink := memory.New(memory.Options{Keep: true})
	cfg := testTenant("acme", sink)
	cfg.Users.Idle = time.Millisecond
	p := start(t, Options{Tenants: []TenantConfig{cfg}})
	in, tenant := p.Tenant("acme"), p.tenants["acme"]
	for round := range 3 {
		if got := fates(send(t, in, doc{ID: "same", Type: "t", User: "ann"}, doc{ID: fmt.Sprint(round), Type: "t", User: "ann"})); got != []string{"s s", "d s", "d s"}[round] {
			t.Errorf("round %d: %q", round, got)
		}
		until(t, "the user is at rest", func() bool { return tenant.usersLive.Load() == 0 && tenant.usersAtRest.Load() == 1 })
		s, known, err := in.Status(t.Context(), "ann")
		if err != nil || !known || s.WindowIDs != round+2 || s.Accepted != uint64(round+2) {
			t.Errorf("at rest: %+v %v %v", s, known, err)
		}
	}
}

func TestUsersStayWithinTheirMemory(t *testing.T) {
	cfg := testTenant("acme", memory.New(memory.Options{}))
	cfg.Users.Memory = 200 * liveUserBytes
	p := start(t, Options{Tenants: []TenantConfig{cfg}})
	in, tenant := p.Tenant("acme"), p.tenants["acme"]
	for i := range 200 {
		var docs []doc
		for j := range 50 {
			docs = append(docs, doc{Type: "t", User: fmt.Sprintf("u-%d-%d", i, j)})
		}
		send(t, in, docs...)
	}
	// A request's users are all live at once, so the bound is exceeded by at most
	// the users of the requests in flight.
	if n := tenant.userBytes.Load(); n > cfg.Users.Memory+100*(liveUserBytes+64) {
		t.Errorf("%d bytes of user state, %d allowed", n, cfg.Users.Memory)
	}
	if live, rest := tenant.usersLive.Load(), tenant.usersAtRest.Load(); live+rest > 500 {
		t.Errorf("%d users live and %d at rest", live, rest)
	}
}

func TestWindowsStayWithinTheMemoryOfUsers(t *testing.T) {
	cfg := testTenant("acme", memory.New(memory.Options{}))
	cfg.Users.Memory = 64 << 10
	p := start(t, Options{Tenants: []TenantConfig{cfg}})
	in, tenant := p.Tenant("acme"), p.tenants["acme"]
	var last []doc
	for i := range 200 {
		last = last[:0]
		for j := range 100 { // 20,000 ids of four users: 480 KiB, if all were kept
			last = append(last, doc{ID: fmt.Sprint(i, j), Type: "t", User: fmt.Sprint("u", j%4)})
		}
		send(t, in, last...)
	}
	if n := tenant.userBytes.Load(); n > cfg.Users.Memory {
		t.Errorf("%d bytes of user state, %d allowed", n, cfg.Users.Memory)
	}
	if got := fates(send(t, in, last...)); got != strings.TrimSpace(strings.Repeat("d ", 100)) {
		t.Errorf("the newest ids are not remembered: %s", got)
	}
}

func TestAPoisonEventFailsAlone(t *testing.T) {
	for _, stage := range []string{event.StageValidator, event.StageUser, event.StageBatcher} {
		t.Run("in the "+stage, func(t *testing.T) {
			sink := memory.New(memory.Options{Keep: true})
			in := start(t, Options{Tenants: []TenantConfig{testTenant("acme", sink)}, Rehearse: func(at string, msg any) {
				if at == stage && holds(msg, "poison") {
					panic("poisoned")
				}
			}}).Tenant("acme")
			d := func(id string) doc { return doc{ID: id, Type: "t", User: "ann"} }
			if got := fates(send(t, in, d("1"), d("poison"), d("2"))); got != "s f:quarantined s" {
				t.Errorf("fates %q", got)
			}
			if got := fates(send(t, in, d("3"))); got != "s" {
				t.Errorf("the user's next event: %q", got)
			}
			if got := fmt.Sprint(ids(sink.Events("acme"))); got != "[1 2 3]" {
				t.Errorf("stored: %s", got)
			}
		})
	}
}

// holds reports whether a message carries the event with the id.
func holds(msg any, id string) bool {
	var items []messages.Item
	switch m := msg.(type) {
	case messages.Validate:
		for _, r := range m.Raws {
			if r.ID.Text == id {
				return true
			}
		}
	case messages.Deliver:
		items = m.Items
	case messages.Append:
		items = m.Items
	}
	for _, it := range items {
		if it.Event.ID == id {
			return true
		}
	}
	return false
}
