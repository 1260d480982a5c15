package actors

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// CircuitPolicy is when a sink counts as gone, and how it is asked whether it is
// back.
type CircuitPolicy struct {
	Failures int           // in a row that open the circuit, at least 1
	MinProbe time.Duration // between the first two probes
	MaxProbe time.Duration // between any two probes
	Timeout  time.Duration // of one probe
}

// CircuitState is what is known of a sink.
type CircuitState uint8

// The states. connecting -> ready -> open -> ready -> …
const (
	CircuitConnecting CircuitState = iota // never reached yet; nothing is admitted
	CircuitReady                          // closed: events flow
	CircuitOpen                           // the sink failed; probing
)

func (s CircuitState) String() string {
	switch s {
	case CircuitConnecting:
		return "connecting"
	case CircuitReady:
		return "ready"
	}
	return "open"
}

// circuit keeps a tenant's requests away from a sink that is gone. While it is
// not ready new requests are refused at the edge, run probes the sink, and the
// writers that hold a batch go on trying: whichever succeeds first closes it.
type circuit struct {
	policy CircuitPolicy
	probe  func(context.Context) error
	log    *slog.Logger

	mu       sync.Mutex
	state    CircuitState
	failures int // in a row
	reason   error
	since    time.Time
	closed   chan struct{} // closed when the state becomes ready; renewed when it opens
	opened   chan struct{} // one token: the state became open
}

func newCircuit(policy CircuitPolicy, probe func(context.Context) error, log *slog.Logger) *circuit {
	return &circuit{
		policy: policy, probe: probe, log: log, since: time.Now(),
		closed: make(chan struct{}), opened: make(chan struct{}, 1),
	}
}

// ready reports whether events may flow.
func (c *circuit) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == CircuitReady
}

// status returns the state, since when, and why it is not ready, nil when it is.
func (c *circuit) status() (state CircuitState, since time.Time, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.since, c.reason
}

// recovered is closed as soon as the circuit is ready.
func (c *circuit) recovered() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// success says that the sink took something.
func (c *circuit) success() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = 0
	if c.state == CircuitReady {
		return
	}
	c.become(CircuitReady, nil)
	close(c.closed)
	c.log.Info("sink ready")
}

// failure says that an attempt at the sink failed in a way that another one may
// cure.
func (c *circuit) failure(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
	if c.state != CircuitReady {
		c.reason = err
		return
	}
	if c.failures < c.policy.Failures {
		return
	}
	c.become(CircuitOpen, err)
	c.closed = make(chan struct{})
	c.log.Warn("sink gone: new requests get 503 until a probe succeeds", "error", err)
	select {
	case c.opened <- struct{}{}:
	default:
	}
}

func (c *circuit) become(s CircuitState, why error) {
	c.state, c.reason, c.since = s, why, time.Now()
}

// run probes while the circuit is not ready, until ctx is over.
func (c *circuit) run(ctx context.Context) {
	for {
		c.restore(ctx)
		select {
		case <-ctx.Done():
			return
		case <-c.opened:
		}
	}
}

// restore probes with growing pauses until the circuit is ready or ctx is over.
func (c *circuit) restore(ctx context.Context) {
	for attempt := 1; !c.ready(); attempt++ {
		within, cancel := context.WithTimeout(ctx, c.policy.Timeout)
		err := c.probe(within)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			c.success()
			return
		}
		if attempt == 1 {
			c.log.Warn("sink not ready: probing", "error", err)
		}
		c.failure(err)
		pause := time.NewTimer(jittered(exponential(c.policy.MinProbe, c.policy.MaxProbe, attempt)))
		select {
		case <-ctx.Done():
		case <-c.recovered():
		case <-pause.C:
		}
		pause.Stop()
	}
}
