package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"sluice/event"
	"sluice/metrics"
	"sluice/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// quiet is for tests in which actors fail on purpose.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// testTenant is a tenant over sink with small pools and short pauses.
func testTenant(name string, sink ...sinks.Sink) TenantConfig {
	cfg := TenantConfig{
		Name:   name,
		Fields: event.DefaultFields(),
		Limits: event.Limits{MaxEvent: 256 << 10, MaxEvents: 10000, MaxDepth: 64, MaxSkew: time.Hour},
		Pools:  Pools{Parsers: 2, Validators: 2, Batchers: 2, Writers: 2},
		Budget: Budget{Bytes: 64 << 20, Events: 65536},
		Batch:  BatchPolicy{MaxEvents: 500, MaxBytes: 512 << 10, Linger: -1},
		Users:  UserPolicy{PerUser: 256, Idle: time.Hour, Window: time.Hour, MaxIDs: 4096, Memory: 1 << 30},
		Supervision: SupervisionPolicy{MaxAttempts: 3, MaxRestarts: 1 << 30, Within: time.Minute,
			MinBackoff: 0, MaxBackoff: time.Second},
	}
	for i, s := range sink {
		cfg.Sinks = append(cfg.Sinks, SinkBinding{
			Name: fmt.Sprintf("sink%d", i), Sink: s,
			Retry:   RetryPolicy{Min: time.Millisecond, Max: 5 * time.Millisecond, GiveUp: 10 * time.Second, Timeout: 5 * time.Second},
			Circuit: CircuitPolicy{Failures: 1 << 30, MinProbe: time.Millisecond, MaxProbe: 5 * time.Millisecond, Timeout: time.Second},
		})
	}
	return cfg
}

// start starts a pipeline that is ready, and drains it at the end of the test.
func start(t testing.TB, o Options) *Pipeline {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(prometheus.NewRegistry())
	}
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
	until(t, "every sink is ready", func() bool {
		_, all := p.Ready()
		for _, s := range all {
			if s.State != CircuitReady {
				return false
			}
		}
		return true
	})
	return p
}

// until waits for a condition that must come true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// doc is an event as a sender writes it.
type doc struct {
	ID   string `json:"id,omitempty"`
	Type string `json:"type"`
	User string `json:"user"`
	N    int    `json:"n"`
}

func ndjson(t testing.TB, docs ...doc) []byte {
	t.Helper()
	var body []byte
	for _, d := range docs {
		line, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		body = append(append(body, line...), '\n')
	}
	return body
}

// submit hands a body to the tenant without waiting for its outcome.
func submit(t testing.TB, in *Intake, ack event.Ack, body []byte) *event.Receipt {
	t.Helper()
	if refusal := in.Reserve(len(body)); refusal != nil {
		t.Fatalf("refused: %+v", refusal)
	}
	return in.Submit(event.Request{Body: body, Format: event.NDJSON, Ack: ack, Where: true, Reserved: len(body), Received: time.Now()})
}

// send submits and waits for the outcomes.
func send(t testing.TB, in *Intake, docs ...doc) []event.Outcome {
	t.Helper()
	return await(t, submit(t, in, event.AckStored, ndjson(t, docs...)))
}

func await(t testing.TB, r *event.Receipt) []event.Outcome {
	t.Helper()
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	if f := r.Refusal(); f != nil {
		t.Fatalf("refused: %+v", f)
	}
	return r.Outcomes()
}

func fates(outcomes []event.Outcome) string {
	s := ""
	for _, o := range outcomes {
		s += o.Fate.String()[:1] + " "
		if o.Reason != nil {
			s = s[:len(s)-1] + ":" + o.Reason.Code + " "
		}
	}
	return s[:max(0, len(s)-1)]
}
