package actors

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"sluice/event"
)

// adopt asks the root supervisor to start a tenant; done hears how it went.
type adopt struct {
	tenant *tenant
	done   chan<- error
}

// root is the supervisor of all tenants. Its only work is supervision.
type root struct{ pipeline *Pipeline }

// Receive implements actor.Actor.
func (r *root) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(adopt)
	if !ok {
		return
	}
	t := m.tenant
	policy := t.policyFor("tenant", 16)
	mailbox := newMailbox(policy)
	_, err := ctx.SpawnNamed(actor.PropsFromProducer(
		func() actor.Actor {
			return &stage{mailbox: mailbox, Actor: &tenantSupervisor{tenant: t, pipeline: r.pipeline, done: m.done}}
		},
		actor.WithMailbox(func() actor.Mailbox { return mailbox }),
		actor.WithDispatcher(r.pipeline.worker(0)),
		actor.WithSupervisor(&supervisor{policy: t.cfg.Supervision, resumes: isShard}),
	), "tenant/"+t.cfg.Name)
	if err != nil {
		m.done <- err
	}
}

// isShard reports whether child, a child of a tenant, is a shard of its users.
func isShard(child *actor.PID) bool { return strings.Contains(child.Id, "/"+event.StageUsers+"/") }

// tenantSupervisor is the parent of all of a tenant's pools: what fails below it
// stays below it.
type tenantSupervisor struct {
	tenant   *tenant
	pipeline *Pipeline
	done     chan<- error
}

// Receive implements actor.Actor.
func (s *tenantSupervisor) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Started); ok {
		s.done <- s.spawn(ctx)
	}
}

// spawn starts the stages from the sinks outward, so that each finds its next
// one there.
func (s *tenantSupervisor) spawn(ctx actor.Context) error {
	t := s.tenant
	for i, b := range t.bindings {
		if err := s.spawnSink(ctx, i, b); err != nil {
			return err
		}
	}
	var err error
	if t.shards, err = t.spawnPool(ctx, s.shards()); err != nil {
		return err
	}
	if t.validators, err = t.spawnPool(ctx, pool{
		stage: event.StageValidator, size: t.cfg.Pools.Validators, worker: s.pipeline.worker, keep: 1024,
		produce: func(int, *Mailbox) func() actor.Actor {
			return func() actor.Actor {
				return &validator{tenant: t, ends: make([]int, len(t.shards)),
					validator: event.NewValidator(t.cfg.Name, t.cfg.Fields, t.cfg.Limits)}
			}
		},
	}); err != nil {
		return err
	}
	// The pointers are checked here, once: the parsers of later incarnations
	// cannot fail on them.
	if _, err := event.NewParser(t.cfg.Fields, t.cfg.Limits); err != nil {
		return err
	}
	t.parsers, err = t.spawnPool(ctx, pool{
		stage: event.StageParser, size: t.cfg.Pools.Parsers, worker: s.pipeline.worker, keep: 1024,
		produce: func(int, *Mailbox) func() actor.Actor {
			return func() actor.Actor {
				p, err := event.NewParser(t.cfg.Fields, t.cfg.Limits)
				if err != nil {
					panic(err)
				}
				return &parser{tenant: t, parser: p}
			}
		},
	})
	return err
}

// shards is the pool of the routers in front of the user actors, one a worker.
func (s *tenantSupervisor) shards() pool {
	users := s.tenant.policyFor(event.StageUser, 4)
	return pool{
		stage: event.StageUsers, size: len(s.pipeline.workers), worker: s.pipeline.worker, keep: 1024,
		produce: func(n int, _ *Mailbox) func() actor.Actor {
			sh := newShard(s.tenant, uint8(n), s.pipeline.worker(n), users)
			return func() actor.Actor { return sh }
		},
	}
}

// spawnSink starts the batchers and writers in front of one sink. Those of a
// tenant's further sinks are numbered on.
func (s *tenantSupervisor) spawnSink(ctx actor.Context, nth int, b *binding) error {
	t := s.tenant
	writers, err := t.spawnPool(ctx, pool{
		stage: event.StageWriter, size: t.cfg.Pools.Writers, from: nth * t.cfg.Pools.Writers, keep: 64,
		worker: func(int) *Worker { return s.pipeline.writerWorker() },
		produce: func(_ int, m *Mailbox) func() actor.Actor {
			state := &writerState{binding: b, ctx: s.pipeline.inflight}
			return func() actor.Actor { return &writer{writerState: state, tenant: t} }
		},
	})
	if err != nil {
		return err
	}
	batchers, err := t.spawnPool(ctx, pool{
		stage: event.StageBatcher, size: t.cfg.Pools.Batchers, from: nth * t.cfg.Pools.Batchers, keep: 1024,
		worker: s.pipeline.worker,
		produce: func(n int, m *Mailbox) func() actor.Actor {
			state := &batcherState{lanes: newLanes(t.cfg.Batch), writers: writers, binding: b, worker: s.pipeline.worker(n)}
			m.owner = state
			return func() actor.Actor { return &batcher{batcherState: state, tenant: t} }
		},
	})
	if err != nil {
		return err
	}
	t.routes = append(t.routes, route{partition: b.Sink.Partition, batchers: batchers})
	s.pipeline.goroutine(func() { b.circuit.run(s.pipeline.probing) })
	return nil
}
