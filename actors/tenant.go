package actors

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"

	"sluice/event"
	"sluice/metrics"
	"sluice/sinks"
)

// TenantConfig is one tenant's part of the pipeline.
type TenantConfig struct {
	Name        string
	Fields      event.Fields
	Limits      event.Limits
	Pools       Pools
	Budget      Budget
	Rate        Rate
	Batch       BatchPolicy
	Users       UserPolicy
	Supervision SupervisionPolicy
	Sinks       []SinkBinding // at least one; stored means stored in all of them
}

// Pools is how many actors each stage has, each at least 1. Batchers and
// writers are per sink.
type Pools struct {
	Parsers, Validators, Batchers, Writers int
}

// Budget bounds what a tenant has in memory on its way to the sinks.
type Budget struct {
	Bytes  int64 // of request bodies, decompressed
	Events int64
}

// Rate limits a tenant's events a second; EventsPerSecond 0 is no limit, Burst 0
// is one second's worth.
type Rate struct {
	EventsPerSecond float64
	Burst           int
}

// SinkBinding is one sink of a tenant, with the manner in which it is used.
type SinkBinding struct {
	Name    string // in the configuration
	Sink    sinks.Sink
	Retry   RetryPolicy
	Circuit CircuitPolicy
}

// tenant is what the actors of one tenant share: its policies, credits, counters
// and the ways to answer. All of it is safe for concurrent use or never changes
// after spawnTenant.
type tenant struct {
	cfg      TenantConfig
	log      *slog.Logger
	metrics  *metrics.Tenant
	root     *actor.RootContext // to send from outside of actors
	credits  *credits
	rate     *rateLimit
	draining *atomic.Bool                // of the whole pipeline
	drill    func(stage string, msg any) // Options.Rehearse
	repeats  *rate.Limiter               // of log lines about failures

	userBytes, usersLive, usersAtRest atomic.Int64

	late sync.Mutex // held where a user's state is touched after its shard's end

	restarting *supervisor // of the user actors, by their shards

	// Set while the tree is spawned, before the first request.
	parsers    []*actor.PID
	validators []*actor.PID
	shards     []*actor.PID
	routes     []route
	bindings   []*binding
	mailboxes  map[string][]*Mailbox // by stage, for the depth
	turn       atomic.Uint32         // of the parsers

	// Reasons are made once: they say the same of every event.
	userLimit, stopped, quarantined, overflow *event.Reason
}

// binding is a SinkBinding at work.
type binding struct {
	SinkBinding
	circuit  *circuit
	attempts *attempts
	metrics  *metrics.Sink
}

func newTenant(cfg TenantConfig, o *Options, root *actor.RootContext, draining *atomic.Bool) *tenant {
	log := o.Log.With("tenant", cfg.Name)
	t := &tenant{
		cfg: cfg, log: log, metrics: o.Metrics.Tenant(cfg.Name), root: root, draining: draining, drill: o.Rehearse,
		credits:    &credits{maxBytes: cfg.Budget.Bytes, maxEvents: cfg.Budget.Events},
		rate:       newRateLimit(cfg.Rate.EventsPerSecond, cfg.Rate.Burst),
		repeats:    rate.NewLimiter(10, 20),
		restarting: &supervisor{policy: cfg.Supervision},
		mailboxes:  make(map[string][]*Mailbox),
		userLimit: &event.Reason{Code: event.CodeUserLimit, Stage: event.StageUser,
			Message: fmt.Sprintf("this user has %d events in flight, which is its limit: send it again later", cfg.Users.PerUser)},
		stopped: &event.Reason{Code: event.CodeStopped, Stage: event.StageGateway,
			Message: "the gateway stopped before this event had its turn: send it again"},
		quarantined: &event.Reason{Code: event.CodeQuarantined,
			Message: fmt.Sprintf("handling it failed %d times: it was put aside", cfg.Supervision.MaxAttempts)},
		overflow: &event.Reason{Code: event.CodeNoCredits,
			Message: "a queue inside the gateway was full: send it again later"},
	}
	for _, b := range cfg.Sinks {
		t.bindings = append(t.bindings, t.bind(b))
	}
	return t
}

func (t *tenant) bind(sb SinkBinding) *binding {
	b := &binding{SinkBinding: sb, metrics: t.metrics.Sink(sb.Name)}
	b.circuit = newCircuit(sb.Circuit, sb.Sink.Probe, t.log.With("sink", sb.Name))
	b.attempts = &attempts{
		sink: sb.Sink, policy: sb.Retry, circuit: b.circuit, metrics: b.metrics,
		unavailable: &event.Reason{Code: event.CodeSinkUnavailable, Stage: event.StageWriter,
			Message: fmt.Sprintf("sink %q did not take it in time: send it again with the same id", sb.Name)},
		refused: &event.Reason{Code: event.CodeSinkRejected, Stage: event.StageWriter,
			Message: fmt.Sprintf("sink %q can never take it: it may be too large for it", sb.Name)},
	}
	return b
}

// rehearse lets whoever wants to see failures cause one, before an actor of stage
// handles a message that carries events.
func (t *tenant) rehearse(stage string, ctx actor.Context) {
	if t.drill != nil {
		t.drill(stage, ctx.Message())
	}
}

// settle gives an event its fate and counts what its sender is told. It does
// nothing for an event that has its fate already.
func (t *tenant) settle(r *event.Receipt, index int, o event.Outcome) {
	answered, settled := r.Settle(index, o)
	switch {
	case answered:
		t.metrics.Events[o.Fate].Inc()
	case settled && o.Reason != nil:
		t.metrics.Lost.Inc() // its sender was told that it was received
	}
}

// acknowledge tells the sender that the event is valid and in the mailbox.
func (t *tenant) acknowledge(r *event.Receipt, index int, id string) {
	if r.Acknowledge(index, event.Outcome{ID: id, Fate: event.Received}) {
		t.metrics.Events[event.Received].Inc()
	}
}

// unready returns the first sink that is not ready, nil when all are.
func (t *tenant) unready() *binding {
	for _, b := range t.bindings {
		if !b.circuit.ready() {
			return b
		}
	}
	return nil
}

// pool is a stage of a tenant to be spawned.
type pool struct {
	stage  string
	size   int
	from   int                 // number of the first one: "batcher/4"
	worker func(n int) *Worker // of the nth
	keep   int                 // mailboxPolicy.keep
	// produce returns the maker of the nth actor's incarnations.
	produce func(n int, m *Mailbox) func() actor.Actor
}

// spawnPool starts the actors of p as children of parent.
func (t *tenant) spawnPool(parent actor.SpawnerContext, p pool) ([]*actor.PID, error) {
	pids := make([]*actor.PID, p.size)
	policy := t.policyFor(p.stage, p.keep)
	for n := range p.size {
		mailbox := newMailbox(policy)
		produce := p.produce(n, mailbox)
		pid, err := parent.SpawnNamed(actor.PropsFromProducer(
			func() actor.Actor { return &stage{mailbox: mailbox, Actor: produce()} },
			actor.WithMailbox(func() actor.Mailbox { return mailbox }),
			actor.WithDispatcher(p.worker(n)),
			actor.WithSupervisor(t.restarting), // of its children
		), fmt.Sprintf("%s/%d", p.stage, p.from+n))
		if err != nil {
			return nil, fmt.Errorf("actors: spawn %s/%d of tenant %s: %w", p.stage, p.from+n, t.cfg.Name, err)
		}
		pids[n] = pid
		t.mailboxes[p.stage] = append(t.mailboxes[p.stage], mailbox)
	}
	return pids, nil
}

// policyFor returns the mailbox policy of a stage. A mailbox can hold the whole
// budget and what the stages tell each other about it, so that only the edge
// ever refuses.
func (t *tenant) policyFor(stage string, keep int) *mailboxPolicy {
	return &mailboxPolicy{
		limit: int(4*t.cfg.Budget.Events) + 1024, keep: keep, maxAttempts: max(1, t.cfg.Supervision.MaxAttempts),
		dropped: func(owner, msg any, why drop) { t.dropped(stage, owner, msg, why) },
		failed:  func(f *Failure) { t.failed(stage, f) },
		split:   split,
	}
}

// failed counts and logs one panic of an actor of stage.
func (t *tenant) failed(stage string, f *Failure) {
	reason := "panic"
	if f.Quarantined {
		reason = "quarantine"
		t.metrics.Quarantined(stage)
	}
	t.metrics.Restarted(stage, reason)
	if f.Quarantined || t.repeats.Allow() {
		t.log.Error("actor failed", "stage", stage, "message", fmt.Sprintf("%T", f.Message),
			"attempt", f.Attempt, "quarantined", f.Quarantined, "panic", fmt.Sprint(f.Value), "stack", string(f.Stack))
	}
}

// gauges reads what can be read off at one moment.
func (t *tenant) gauges() metrics.Gauges {
	g := metrics.Gauges{
		Tenant:     t.cfg.Name,
		BytesInUse: t.credits.bytes.Load(), BytesLimit: t.credits.maxBytes,
		EventsInUse: t.credits.events.Load(), EventLimit: t.credits.maxEvents,
		Depth:     make(map[string]int),
		UsersLive: int(t.usersLive.Load()), UsersAtRest: int(t.usersAtRest.Load()),
		UserBytes: t.userBytes.Load(),
	}
	for stage, all := range t.mailboxes {
		for _, m := range all {
			g.Depth[stage] += m.UserMessageCount()
		}
	}
	for _, b := range t.bindings {
		state, _, _ := b.circuit.status()
		g.Sinks = append(g.Sinks, metrics.SinkGauge{Sink: b.Name, State: state.String()})
	}
	return g
}

// retryAfter is when a refused sender should come back.
func (t *tenant) retryAfter() time.Duration { return t.credits.retryAfter() }
