package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// overloaded is a configuration with a small budget: 8 MiB of bodies, 8,192
// events, 32 MiB for what is remembered of users.
const overloaded = `
data: {listen: "127.0.0.1:0", max_body: 1MiB, max_events: 1000, request_timeout: 60s}
admin: {listen: "127.0.0.1:0"}
sinks: {bus: {kind: kafka, brokers: ["BROKER"], topic: TOPIC, create_topics: true, partitions: 6, replication: 1, timeout: 10s}}
tenants:
  acme: {keys: [KEY(acme)], budget: {bytes: 8MiB, events: 8192, per_user: 8192}, users: {memory: 32MiB}}
`

// overloadBound is what overloaded lets the tenant have in memory, and what the
// process may have besides: 8 MiB + 8,192 × 1 KiB + 32 MiB, and 200 MiB.
const overloadBound = (8 + 8 + 32 + 200) << 20

// TestOverloadIsRefusedEarlyAndNothingAcceptedIsLost sends about ten times what
// the sink takes: it stands still nine tenths of the time. With SLUICE_LONG=1 it
// does so for a minute; the table it prints is for bench/README.md.
func TestOverloadIsRefusedEarlyAndNothingAcceptedIsLost(t *testing.T) {
	lasting := 4 * time.Second
	if os.Getenv("SLUICE_LONG") != "" {
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

	o := &overload{refused: map[string]int{}, accepted: map[string]bool{}}
	end := time.Now().Add(lasting)
	var senders sync.WaitGroup
	for n := range 128 {
		senders.Go(func() { o.send(t, p.as("acme"), n, end) })
	}
	for time.Now().Before(end) {
		proxy.stall()
		o.watch(p, 450*time.Millisecond)
		proxy.open()
		o.watch(p, 50*time.Millisecond)
	}
	senders.Wait()
	if got := p.metric(`sluice_credits_in_use{tenant="acme",unit="events"}`); got != 0 {
		t.Errorf("%v events are still in flight", got)
	}
	o.report(t, lasting)
	if o.peak > overloadBound {
		t.Errorf("the process had %d MiB, the configuration allows %d", o.peak>>20, overloadBound>>20)
	}
	if len(o.refused) == 0 || len(o.accepted) == 0 {
		t.Error("nothing was refused, or nothing accepted: this was no overload")
	}
	found := byID(readKafka(t, topic))
	for id := range o.accepted {
		if len(found[id]) != 1 {
			t.Fatalf("%s was accepted and is in the topic %d times", id, len(found[id]))
		}
	}
}

// overload is what the senders of an overload saw.
type overload struct {
	mu       sync.Mutex
	accepted map[string]bool
	refused  map[string]int  // by status and code
	took     []time.Duration // of the refusals
	sent     int
	peak     int64 // bytes resident
}

// send posts batches of 50 events until end, and comes back soon after each
// refusal: sooner than it was told to.
func (o *overload) send(t *testing.T, c *client, sender int, end time.Time) {
	const batch = 50
	pad := strings.Repeat("x", 400)
	for n := 0; time.Now().Before(end); n++ {
		var body strings.Builder
		ids := make([]string, batch)
		for i := range ids {
			ids[i] = fmt.Sprintf("%d-%d-%d", sender, n, i)
			fmt.Fprintf(&body, `{"id":"%s","type":"t","user":"u%d","pad":"%s"}`+"\n", ids[i], sender*batch+i, pad)
		}
		a, err := c.send("", asNDJSON, body.String())
		if err != nil {
			t.Errorf("no answer: %v", err)
			return
		}
		o.mu.Lock()
		o.sent += batch
		switch {
		case a.status == 200 && a.Accepted == batch:
			for _, id := range ids {
				o.accepted[id] = true
			}
		case (a.status == 429 || a.status == 503) && a.retryAfter() >= 1:
			o.refused[fmt.Sprintf("%d %s", a.status, a.Code)] += batch
			o.took = append(o.took, a.took)
		default:
			t.Errorf("got %v", a)
		}
		o.mu.Unlock()
		if a.status != 200 {
			time.Sleep(rand.N(200 * time.Millisecond))
		}
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

func (o *overload) report(t *testing.T, lasting time.Duration) {
	slices.Sort(o.took)
	at := func(q float64) time.Duration {
		if len(o.took) == 0 {
			return 0
		}
		return o.took[int(q*float64(len(o.took)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("over %v: %d events sent, %d accepted, refused %v; refusals took p50 %v, p99 %v, at most %v; at most %d MiB resident",
		lasting, o.sent, len(o.accepted), o.refused, at(0.5), at(0.99), at(1), o.peak>>20)
}
