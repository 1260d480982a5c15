package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// overloaded is a configuration with a small budget: 2 MiB of bodies, 2,048
// events, 32 MiB for what is remembered of users.
const overloaded = `
data: {listen: "127.0.0.1:0", max_body: 256KiB, max_events: 500, request_timeout: 2s}
admin: {listen: "127.0.0.1:0"}
sinks: {bus: {kind: kafka, brokers: ["BROKER"], topic: TOPIC, create_topics: true, partitions: 6, replication: 1, timeout: 10s}}
tenants:
  acme: {keys: [KEY(acme)], budget: {bytes: 2MiB, events: 2048, per_user: 2048}, users: {memory: 32MiB}}
`

const (
	// overloadBound is what overloaded lets the tenant have in memory, and what
	// the process may have besides: 2 MiB of bodies, 2,048 events of 1 KiB, 32 MiB
	// of users, and 200 MiB.
	overloadBound = (2 + 2 + 32 + 200) << 20
	// overloaders send at once three times the events that the budget holds.
	overloaders   = 128
	overloadBatch = 50
)

// TestOverloadIsRefusedEarlyAndNothingAcceptedIsLost sends about ten times what
// the sink takes: it stands still nine tenths of the time, and in the middle for
// longer than a request may take. With SLUICE_LONG=1 it does so for a minute; the
// table it prints is for bench/README.md.
func TestOverloadIsRefusedEarlyAndNothingAcceptedIsLost(t *testing.T) {
	long := os.Getenv("SLUICE_LONG") != ""
	lasting := 6 * time.Second
	if long {
		lasting = time.Minute
	}
	binary, err := unraced()
	if err != nil {
		t.Fatal(err)
	}
	proxy := newKafkaProxy(t)
	proxy.open()
	topic := unique()
	p := serveBinary(t, binary, configure(t, overloaded, "BROKER", proxy.addr, "TOPIC", topic))
	p.awaitReady()

	o := &overload{answers: make(map[string]*answers), outcome: make(map[string]string)}
	begun := time.Now()
	end := begun.Add(lasting)
	var senders sync.WaitGroup
	for n := range overloaders {
		c := p.as("acme")
		senders.Go(func() { o.send(t, c, n, end) })
	}
	for stood := false; time.Now().Before(end); {
		proxy.stall()
		if !stood && time.Since(begun) > lasting/3 {
			stood = true
			o.watch(p, 2500*time.Millisecond)
		}
		o.watch(p, 450*time.Millisecond)
		proxy.open()
		o.watch(p, 50*time.Millisecond)
	}
	senders.Wait()
	eventually(t, "nothing is in flight", func() error {
		if n := p.metric(`sluice_credits_in_use{tenant="acme",unit="events"}`); n != 0 {
			return fmt.Errorf("%v events are", n)
		}
		return nil
	})
	t.Log(o.table(lasting))
	o.check(t, long, byID(readKafka(t, topic)))
}

// overload is what the senders of an overload saw.
type overload struct {
	mu      sync.Mutex
	outcome map[string]string   // by id: how its request was answered
	answers map[string]*answers // by status and code
	peak    int64               // bytes resident
}

type answers struct {
	events int
	took   []time.Duration
}

const (
	taken   = "200"
	unknown = "503 outcome_unknown" // taken, and still to be stored
)

// send posts batches until end, and comes back soon after each refusal: sooner
// than it was told to.
func (o *overload) send(t *testing.T, c *client, sender int, end time.Time) {
	pad := strings.Repeat("x", 400)
	for n := 0; time.Now().Before(end); n++ {
		var body strings.Builder
		ids := make([]string, overloadBatch)
		for i := range ids {
			ids[i] = fmt.Sprintf("%d-%d-%d", sender, n, i)
			fmt.Fprintf(&body, `{"id":"%s","type":"t","user":"u%d","pad":"%s"}`+"\n", ids[i], sender*overloadBatch+i, pad)
		}
		a, err := c.send("", asNDJSON, body.String())
		if err != nil {
			t.Errorf("no answer: %v", err)
			return
		}
		o.note(t, a, ids)
		if a.status != 200 {
			pause := time.NewTimer(rand.N(400 * time.Millisecond)) // part of the load, nothing is waited for
			<-pause.C
		}
	}
}

func (o *overload) note(t *testing.T, a *answer, ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	how := strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.Code))
	switch {
	case a.status == 200 && a.Accepted == len(ids):
	case (a.status == 429 || a.status == 503) && a.retryAfter() >= 1:
	default:
		t.Errorf("got %v with Retry-After %d", a, a.retryAfter())
	}
	if o.answers[how] == nil {
		o.answers[how] = new(answers)
	}
	o.answers[how].events += len(ids)
	o.answers[how].took = append(o.answers[how].took, a.took)
	for _, id := range ids {
		o.outcome[id] = how
	}
}

// watch notes the memory of the process for a while.
func (o *overload) watch(p *process, d time.Duration) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(d); time.Now().Before(until); <-tick.C {
		o.peak = max(o.peak, p.resident())
	}
}

// check holds what was found in the topic, by id, against what was answered. Only
// a long run, which is a benchmark on an idle machine, minds the times.
func (o *overload) check(t *testing.T, long bool, found map[string][]string) {
	if o.peak > overloadBound {
		t.Errorf("the process had %d MiB, the configuration allows %d", o.peak>>20, overloadBound>>20)
	}
	wrong := make(map[string]int)
	for id, how := range o.outcome {
		want := 0
		if how == taken || how == unknown {
			want = 1
		}
		if n := len(found[id]); n != want {
			wrong[fmt.Sprintf("answered %s and %d times in the topic", how, n)]++
		}
	}
	for what, n := range wrong {
		t.Errorf("%d events were %s", n, what)
	}
	var refusals []time.Duration
	for how, a := range o.answers {
		if how != taken && how != unknown {
			refusals = append(refusals, a.took...)
		}
	}
	slices.Sort(refusals)
	if len(refusals) == 0 || o.answers[taken] == nil {
		t.Fatal("nothing was refused, or nothing accepted: this was no overload")
	}
	if took := quantile(refusals, 0.99); long && took > 50*time.Millisecond {
		t.Errorf("one in a hundred refusals took more than %v, want 50 ms", took)
	}
}

func (o *overload) table(lasting time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v of %d senders of batches of %d\n", lasting, overloaders, overloadBatch)
	fmt.Fprintf(&b, "%-24s %10s %10s %10s %10s\n", "answer", "events", "p50", "p99", "max")
	for _, how := range slices.Sorted(maps.Keys(o.answers)) {
		a := o.answers[how]
		slices.Sort(a.took)
		fmt.Fprintf(&b, "%-24s %10d %10v %10v %10v\n", how, a.events, quantile(a.took, 0.5), quantile(a.took, 0.99), quantile(a.took, 1))
	}
	fmt.Fprintf(&b, "at most %d MiB resident, of %d allowed", o.peak>>20, overloadBound>>20)
	return b.String()
}

// quantile of times that are sorted.
func quantile(took []time.Duration, q float64) time.Duration {
	return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond)
}
