package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
	"sluice/messages"
	"sluice/metrics"
)

// Options is what a Pipeline is made of.
type Options struct {
	Tenants []TenantConfig
	Metrics *metrics.Metrics
	Log     *slog.Logger
	Workers int // that run the actors, writers aside; 0 is one a processor
	// Rehearse, when not nil, is called before an actor of stage handles a message
	// that carries events. It may panic or delay, as a drill or a test wants.
	Rehearse func(stage string, msg any)
}

// Pipeline is the tree of actors with everything that runs it. Start starts it,
// Drain ends it, in order: nothing new is admitted, what is in flight gets its
// outcome, the tree stops, the workers stop.
type Pipeline struct {
	log      *slog.Logger
	system   *actor.ActorSystem
	root     *actor.PID
	workers  []*Worker // of all actors but writers
	writers  []*Worker // one a writer
	tenants  map[string]*tenant
	draining atomic.Bool
	ending   sync.Once

	inflight context.Context // of what the writers write; over when they are to give up
	giveUp   context.CancelFunc
	probing  context.Context // of the circuits and the clock
	stop     context.CancelFunc
	running  sync.WaitGroup // goroutines of ours beside the workers
}

// Start starts the tree. It needs no sink to be there: a tenant whose sink is
// not ready refuses requests until it is.
func Start(o Options) (*Pipeline, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	o.Workers = min(o.Workers, maxShards)
	p := &Pipeline{log: o.Log, tenants: make(map[string]*tenant)}
	p.inflight, p.giveUp = context.WithCancel(context.Background())
	p.probing, p.stop = context.WithCancel(context.Background())
	for range o.Workers {
		p.workers = append(p.workers, newWorker())
	}
	p.system = newSystem(o.Log)
	p.system.EventStream.Subscribe(p.answerLost)
	if err := p.spawn(&o); err != nil {
		p.shutdown()
		return nil, err
	}
	p.goroutine(p.clock)
	return p, nil
}

func (p *Pipeline) spawn(o *Options) error {
	policy := &mailboxPolicy{limit: 1 << 16, keep: 16, maxAttempts: 1,
		dropped: func(any, any, drop) {},
		failed:  func(f *Failure) { p.log.Error("root supervisor failed", "panic", f.Value, "stack", string(f.Stack)) },
	}
	mailbox := newMailbox(policy)
	resume := &supervisor{resumes: func(*actor.PID) bool { return true }}
	pid, err := p.system.Root.SpawnNamed(actor.PropsFromProducer(
		func() actor.Actor { return &stage{mailbox: mailbox, Actor: &root{pipeline: p}} },
		actor.WithMailbox(func() actor.Mailbox { return mailbox }),
		actor.WithDispatcher(p.worker(0)),
		actor.WithSupervisor(resume),
		actor.WithGuardian(resume),
	), "sluice")
	if err != nil {
		return fmt.Errorf("actors: spawn the root supervisor: %w", err)
	}
	p.root = pid
	for _, cfg := range o.Tenants {
		if _, ok := p.tenants[cfg.Name]; ok {
			return fmt.Errorf("actors: tenant %q is given twice", cfg.Name)
		}
		t := newTenant(cfg, o, p.system.Root, &p.draining)
		p.tenants[cfg.Name] = t
		done := make(chan error, 1)
		p.system.Root.Send(p.root, adopt{tenant: t, done: done})
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// worker returns the worker of the nth member of a pool: members of the same
// number share one, so that a request's way through the pools wakes few.
func (p *Pipeline) worker(n int) *Worker { return p.workers[n%len(p.workers)] }

func (p *Pipeline) writerWorker() *Worker {
	w := newWorker()
	p.writers = append(p.writers, w)
	return w
}

func (p *Pipeline) goroutine(f func()) {
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		f()
	}()
}

// clock measures the drain rates and has idle users put to rest, once a second.
func (p *Pipeline) clock() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.probing.Done():
			return
		case now := <-tick.C:
			for _, t := range p.tenants {
				t.credits.measure(now)
			}
			p.sweep(now)
		}
	}
}

// sweep asks every shard to put to rest whoever is idle at now.
func (p *Pipeline) sweep(now time.Time) {
	for _, t := range p.tenants {
		for _, shard := range t.shards {
			p.system.Root.Send(shard, messages.Sweep{Now: now, Idle: now.Add(-t.cfg.Users.Idle)})
		}
	}
}

// Drain ends the pipeline: from now on every request is refused; what is in
// flight is written, as long as most of ctx allows, and then given up, so that
// everything has its outcome before ctx is over even if a sink is dead. It
// returns an error when something was given up. A second call waits for the
// first and returns nil.
func (p *Pipeline) Drain(ctx context.Context) (err error) {
	p.ending.Do(func() { err = p.drain(ctx) })
	return err
}

func (p *Pipeline) drain(ctx context.Context) error {
	p.draining.Store(true)
	patience := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		patience, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/5))
		defer cancel()
	}
	var err error
	if !p.awaitIdle(patience) {
		err = errors.New("actors: events in flight were given up: their senders were told so")
	}
	p.giveUp()
	if err != nil && !p.awaitIdle(ctx) {
		err = errors.New("actors: events in flight have no outcome yet")
	}
	p.shutdown()
	return err
}

// awaitIdle waits until nothing is in flight and reports whether it came to that.
func (p *Pipeline) awaitIdle(ctx context.Context) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		idle := true
		for _, t := range p.tenants {
			idle = idle && t.credits.idle()
		}
		if idle {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// shutdown stops the tree and all that runs it.
func (p *Pipeline) shutdown() {
	p.draining.Store(true)
	p.giveUp()
	p.stop()
	p.running.Wait()
	if p.root != nil {
		// The future fails when the tree takes more than ten seconds, and its
		// actors then end with the process.
		if err := p.system.Root.StopFuture(p.root).Wait(); err != nil {
			p.log.Error("actors did not stop in time", "error", err)
			return
		}
	}
	for _, w := range append(p.writers, p.workers...) {
		w.stop()
	}
	p.system.Shutdown()
}

func (p *Pipeline) tenantOf(path string) *tenant {
	rest, ok := strings.CutPrefix(path, "sluice/tenant/")
	if !ok {
		return nil
	}
	name, _, _ := strings.Cut(rest, "/")
	return p.tenants[name]
}

// Gauges reads every tenant's state at one moment.
func (p *Pipeline) Gauges() []metrics.Gauges {
	all := make([]metrics.Gauges, 0, len(p.tenants))
	for _, t := range p.tenants {
		all = append(all, t.gauges())
	}
	return all
}

// SinkStatus is how a tenant's sink stands.
type SinkStatus struct {
	Tenant, Sink string
	State        CircuitState
	Reason       string // why it is not ready, for an operator
	Since        time.Time
}

// Ready reports whether the pipeline is draining, and how each tenant's sinks
// stand.
func (p *Pipeline) Ready() (draining bool, all []SinkStatus) {
	for _, t := range p.tenants {
		for _, b := range t.bindings {
			state, since, err := b.circuit.status()
			s := SinkStatus{Tenant: t.cfg.Name, Sink: b.Name, State: state, Since: since}
			if err != nil {
				s.Reason = err.Error()
			}
			all = append(all, s)
		}
	}
	return p.draining.Load(), all
}

// Tenant returns the way in for the tenant called name, nil if there is none.
func (p *Pipeline) Tenant(name string) *Intake {
	t := p.tenants[name]
	if t == nil {
		return nil
	}
	return &Intake{t}
}

// Intake is one tenant's way into the pipeline. It is safe for concurrent use.
type Intake struct{ t *tenant }

// Reserve takes n bytes of the tenant's budget, or says why they cannot be had.
func (in *Intake) Reserve(n int) *event.Refusal {
	t := in.t
	if t.draining.Load() {
		return &event.Refusal{Kind: event.Unavailable, RetryAfter: leastRetryAfter + rand.N(leastRetryAfter),
			Reason: event.Reason{Code: event.CodeDraining, Stage: event.StageGateway, Message: "this gateway is about to stop: send to another one, or again later"}}
	}
	if b := t.unready(); b != nil {
		return &event.Refusal{Kind: event.Unavailable, RetryAfter: b.retryAfter(),
			Reason: event.Reason{Code: event.CodeSinkUnavailable, Stage: event.StageGateway, Message: fmt.Sprintf("sink %q cannot be written to at the moment", b.Name)}}
	}
	if !t.credits.reserveBytes(n) {
		return t.noCredits(event.StageGateway, "bytes")
	}
	return nil
}

// retryAfter is when the sink may be back: after the next probe at the latest.
func (b *binding) retryAfter() time.Duration {
	wait := max(leastRetryAfter, b.circuit.policy.MaxProbe)
	return wait + rand.N(wait/4)
}

// Release gives back bytes that were reserved and not submitted.
func (in *Intake) Release(n int) { in.t.credits.ReleaseBytes(n) }

// Submit hands a request, with what was reserved for it, to a parser. It does
// not block. The receipt says what became of it.
func (in *Intake) Submit(req event.Request) *event.Receipt {
	t := in.t
	receipt := event.NewReceipt(req.Ack, t.credits, req.Reserved)
	n := t.turn.Add(1) % uint32(len(t.parsers))
	t.root.Send(t.parsers[n], messages.Parse{Request: req, Receipt: receipt})
	return receipt
}

// RetryAfter is when a refused sender should come back, from the measured drain
// rate: at least a second, jittered.
func (in *Intake) RetryAfter() time.Duration { return in.t.retryAfter() }

// Status returns what the actor of user knows; known is false when it knows
// nothing. The error is that of ctx.
func (in *Intake) Status(ctx context.Context, user string) (s event.UserStatus, known bool, err error) {
	reply := make(chan messages.Description, 1)
	shard := in.t.shards[shardOf(user, len(in.t.shards))]
	in.t.root.Send(shard, messages.Describe{User: user, Reply: reply})
	select {
	case d := <-reply:
		return d.Status, d.Known, nil
	case <-ctx.Done():
		return event.UserStatus{}, false, ctx.Err()
	}
}

// newSystem returns an actor system that logs errors only, to log.
func newSystem(log *slog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(errorsOnly{log.Handler()}) }),
		// For so long a goroutine of its own outlives each dead letter, which we
		// answer ourselves.
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
}

// errorsOnly lets proto.actor log what is wrong and nothing else: failures of
// actors are reported by their mailboxes.
type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (h errorsOnly) WithAttrs(a []slog.Attr) slog.Handler { return errorsOnly{h.Handler.WithAttrs(a)} }
func (h errorsOnly) WithGroup(n string) slog.Handler      { return errorsOnly{h.Handler.WithGroup(n)} }
