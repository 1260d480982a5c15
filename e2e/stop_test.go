package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopping is a configuration of one tenant on a topic, in which a request may
// take as long as a stop.
const stopping = `
data: {listen: "127.0.0.1:0", request_timeout: 60s}
admin: {listen: "127.0.0.1:0"}
drain_timeout: DRAIN
sinks: {bus: {kind: kafka, brokers: ["BROKER"], topic: TOPIC, create_topics: true, partitions: 6, replication: 1}}
tenants: {acme: {keys: [KEY(acme)]}}
`

// grace is what a busy machine may add to a drain_timeout.
const grace = 3 * time.Second

func TestASIGTERMLetsWhatIsInFlightHaveItsOutcome(t *testing.T) {
	t.Parallel()
	proxy := newKafkaProxy(t)
	proxy.open()
	topic := unique()
	p := serveReady(t, configure(t, stopping, "DRAIN", "30s", "BROKER", proxy.addr, "TOPIC", topic))
	c := p.as("acme")
	c.store(t, `{"id":"before","type":"t","user":"ann"}`)
	proxy.stall()
	answers := p.inFlight(c, 8)

	p.signal(syscall.SIGTERM)
	eventually(t, "/readyz is 503 and says that the gateway is draining", func() error {
		r, err := p.probe()
		if err == nil && (r.status != 503 || !r.Draining || r.Reason == "") {
			err = errors.New(r.body)
		}
		return err
	})
	a := p.as("acme").post(t, "", asJSON, `{"id":"late","type":"t","user":"ann"}`)
	if a.status != 503 || a.Code != "draining" || a.retryAfter() < 1 {
		t.Errorf("a new event is answered %v, Retry-After %d", a, a.retryAfter())
	}
	select {
	case r := <-answers:
		t.Errorf("answered while its sink was stalled: %v, %v", r.a, r.err)
	default:
	}
	proxy.open()
	for range 8 {
		if r := <-answers; r.err != nil || r.a.status != 200 || r.a.Accepted != 1 {
			t.Errorf("what was in flight is answered %v, %v", r.a, r.err)
		}
	}
	if code := p.exits(30*time.Second + grace); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if found := byID(readKafka(t, topic)); len(found) != 9 || found["late"] != nil {
		t.Errorf("in the topic is %v", found)
	}
}

type reply struct {
	a   *answer
	err error
}

// inFlight sends n events, each in a request of its own, and returns when they
// are all in flight. Their answers come over the channel.
func (p *process) inFlight(c *client, n int) <-chan reply {
	p.t.Helper()
	answers := make(chan reply, n)
	for i := range n {
		go func() {
			a, err := c.send("", asJSON, fmt.Sprintf(`{"id":"in-flight-%d","type":"t","user":"u%d"}`, i, i))
			answers <- reply{a, err}
		}()
	}
	eventually(p.t, "the events are in flight", func() error {
		if got := p.metric(`sluice_credits_in_use{tenant="acme",unit="events"}`); got != float64(n) {
			return fmt.Errorf("%v of %d are", got, n)
		}
		return nil
	})
	return answers
}

// metric returns the value of a series as /metrics writes its name, 0 where it
// is not there.
func (p *process) metric(series string) float64 {
	p.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get("http://" + p.admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(body)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64)
	return v
}

// TestASIGTERMUnderLoadLeavesNothingUnsaid stops a gateway that many senders
// keep busy: what it has stored it has said, and the reverse.
func TestASIGTERMUnderLoadLeavesNothingUnsaid(t *testing.T) {
	t.Parallel()
	config := configure(t, localStore)
	l := newLedger()
	users := streams("u", 16)
	for range 3 {
		p := serveReady(t, config)
		var mu sync.Mutex
		var refused, closed int
		stop := l.sendUntil(p.as("acme"), users, 50, func(_ []*entry, a *answer, err error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil: // an idle connection was closed, or nobody listens any more
				closed++
			case a.status == 503 && a.Code == "draining" && a.retryAfter() >= 1:
				refused++
			default:
				t.Errorf("got %v", a)
			}
		})
		l.awaitAcked(t, 300)
		p.signal(syscall.SIGTERM)
		if code := p.exits(30*time.Second + grace); code != 0 {
			t.Errorf("exit code %d", code)
		}
		stop()
		t.Logf("%d senders were refused, %d found their connection closed", refused, closed)
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
	if unsaid := l.compare(t, found); unsaid != 0 {
		t.Errorf("%d events are stored without their senders having been told", unsaid)
	}
}

func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	t.Parallel()
	proxy := newKafkaProxy(t)
	proxy.open()
	p := serveReady(t, configure(t, stopping, "DRAIN", "60s", "BROKER", proxy.addr, "TOPIC", unique()))
	c := p.as("acme")
	c.store(t, `{"type":"t","user":"ann"}`)
	proxy.stall()
	p.inFlight(c, 2)
	p.signal(syscall.SIGTERM)
	eventually(t, "it drains", func() error {
		if !strings.Contains(p.log.String(), "msg=\"draining") {
			return errors.New("the log does not say so")
		}
		return nil
	})
	begun := time.Now()
	// One that follows the first closely counts as the same.
	eventuallyWithin(t, 10*time.Second, "a second signal ends it", func() error {
		p.signal(syscall.SIGINT)
		select {
		case <-p.ended:
			return nil
		default:
			return errors.New("it runs")
		}
	})
	if code := p.exits(grace); code != 1 {
		t.Errorf("exit code %d after %v, want 1", code, time.Since(begun))
	}
}

func TestNothingHangsOnADeadSink(t *testing.T) {
	t.Parallel()
	const drain = 4 * time.Second
	for _, tc := range []struct {
		name     string
		fault    func(*proxy)
		inFlight int
		code     int
	}{
		{"a broker that stalls, with events in flight", (*proxy).stall, 5, 1},
		{"a broker that is gone", (*proxy).cut, 0, 0},
		{"a broker that stalls, with nothing in flight", (*proxy).stall, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			proxy := newKafkaProxy(t)
			proxy.open()
			p := serveReady(t, configure(t, stopping, "DRAIN", drain.String(), "BROKER", proxy.addr, "TOPIC", unique()))
			c := p.as("acme")
			c.store(t, `{"type":"t","user":"ann"}`)
			tc.fault(proxy)
			answers := p.inFlight(c, tc.inFlight)
			begun := time.Now()
			p.signal(syscall.SIGTERM)
			code := p.exits(drain + grace)
			t.Logf("stopped after %v", time.Since(begun))
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for range tc.inFlight {
				if r := <-answers; r.err != nil || r.a.status != 503 || r.a.retryAfter() < 1 {
					t.Errorf("what was in flight is answered %v, %v", r.a, r.err)
				}
			}
		})
	}
	t.Run("brokers where nothing ever listened", func(t *testing.T) {
		t.Parallel()
		config := configure(t, stopping, "DRAIN", drain.String(), "BROKER", freeAddr(t, "127.0.0.1"), "TOPIC", "raw_events")
		p := serve(t, config)
		p.awaitReason("acme", "bus", "not reachable")
		p.signal(syscall.SIGTERM)
		if code := p.exits(drain + grace); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}
