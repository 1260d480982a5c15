package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/event"
	"sluice/metrics"
	"sluice/sinks"
)

// scripted is a Sink whose Write answers from a script, an attempt a word: "ok",
// "retry", "permanent", or a letter an event: s stored, r retryable, p permanent.
type scripted struct {
	sinks.Sink
	script []string
	seen   []*sinks.Batch
	probes []error
}

func (s *scripted) Write(ctx context.Context, b *sinks.Batch) error {
	word := s.script[min(len(s.seen), len(s.script)-1)]
	s.seen = append(s.seen, b)
	switch word {
	case "ok":
		return nil
	case "retry":
		return errors.New("retryable")
	case "permanent":
		return sinks.Permanent(errors.New("permanent"))
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	}
	failed := map[int]error{}
	for i, c := range word {
		switch c {
		case 'r':
			failed[i] = errors.New("retryable")
		case 'p':
			failed[i] = fmt.Errorf("wrapped: %w", sinks.Permanent(errors.New("permanent")))
		}
	}
	return &sinks.PartialError{Failed: failed}
}

func (s *scripted) Probe(context.Context) error {
	if len(s.probes) == 0 {
		return nil
	}
	err := s.probes[0]
	s.probes = s.probes[1:]
	return err
}

func newAttempts(s *scripted) *attempts {
	m := metrics.New(prometheus.NewRegistry()).Tenant("t").Sink("s")
	return &attempts{
		sink:        s,
		policy:      RetryPolicy{Min: 100 * time.Millisecond, Max: time.Second, GiveUp: 10 * time.Second, Timeout: time.Second},
		circuit:     newCircuit(CircuitPolicy{Failures: 3, MinProbe: time.Second, MaxProbe: 4 * time.Second, Timeout: time.Second}, s.Probe, quiet()),
		metrics:     m,
		unavailable: &event.Reason{Code: event.CodeSinkUnavailable},
		refused:     &event.Reason{Code: event.CodeSinkRejected},
	}
}

// TestAttempts plays scripts at a batch of three events. The outcome is a letter
// an event: s stored, f failed, x rejected.
func TestAttempts(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"what is stored is done at once", "ok", "sss"},
		{"a failure is tried again", "retry retry ok", "sss"},
		{"a permanent failure is not", "permanent ok", "xxx"},
		{"a part that failed for good is not tried again", "sps ok", "sxs"},
		{"a part that may be stored is tried again", "srs ok", "sss"},
		{"what is stored once stays stored, whatever comes later", "srr permanent", "sxx"},
		{"of the rest the newest attempt is right", "prs ok", "sss"},
		{"what never succeeds is given up", "srp retry", "sff"},
		{"a part is given up alone", "srp srp", "sfx"},
		{"an attempt that hangs is ended", "hang ok", "sss"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{script: strings.Fields(tc.script)}
				p := newPending(&sinks.Batch{Events: make([]event.Event, 3)})
				start := time.Now()
				newAttempts(s).run(t.Context(), p)
				got := ""
				for i := range 3 {
					switch {
					case p.result.reasons == nil || p.result.reasons[i] == nil:
						got += "s"
					case p.result.rejected[i]:
						got += "x"
					default:
						got += "f"
					}
				}
				if got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				for _, b := range s.seen {
					if b != p.batch {
						t.Error("a retry passed another batch")
					}
				}
				if took := time.Since(start); took > 12*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestGivingUpEndsTheAttemptsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		p := newPending(&sinks.Batch{Events: make([]event.Event, 1)})
		start := time.Now()
		newAttempts(&scripted{script: []string{"hang"}}).run(ctx, p)
		if took := time.Since(start); took != 300*time.Millisecond || !p.done {
			t.Errorf("took %v, done %v", took, p.done)
		}
	})
}

func TestCircuit(t *testing.T) {
	t.Run("is ready after the first probe that succeeds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newAttempts(&scripted{probes: []error{errors.New("no"), errors.New("no")}})
			go a.circuit.run(t.Context())
			synctest.Wait()
			if s, _, err := a.circuit.status(); s != CircuitConnecting || err == nil {
				t.Errorf("at first: %v, %v", s, err)
			}
			<-a.circuit.recovered()
			if s, _, err := a.circuit.status(); s != CircuitReady || err != nil {
				t.Errorf("then: %v, %v", s, err)
			}
		})
	})
	t.Run("opens after failures in a row, not before, and probes until it is back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{}
			a := newAttempts(s)
			go a.circuit.run(t.Context())
			<-a.circuit.recovered()
			a.circuit.failure(errors.New("1"))
			a.circuit.failure(errors.New("2"))
			a.circuit.success()
			a.circuit.failure(errors.New("3"))
			a.circuit.failure(errors.New("4"))
			if !a.circuit.ready() {
				t.Error("open too early")
			}
			s.probes = []error{errors.New("no"), errors.New("no"), errors.New("no")}
			a.circuit.failure(errors.New("5"))
			if a.circuit.ready() {
				t.Error("not open")
			}
			start := time.Now()
			<-a.circuit.recovered()
			if took := time.Since(start); took < 3*time.Second || took > 8*time.Second {
				t.Errorf("back after %v, want three pauses of 1, 2 and 4 s, jittered", took)
			}
		})
	})
	t.Run("closes at once when a writer succeeds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newAttempts(&scripted{})
			go a.circuit.run(t.Context())
			<-a.circuit.recovered()
			for range 3 {
				a.circuit.failure(errors.New("no"))
			}
			a.circuit.success()
			if !a.circuit.ready() {
				t.Error("still open")
			}
		})
	})
}
