package main

import (
	"maps"
	"slices"
	"time"

	"sluice/actors"
	"sluice/admin"
	"sluice/config"
	"sluice/event"
	"sluice/gateway"
	"sluice/sinks"
)

// pipelineTenants maps the tenants of the configuration onto the actors.
func pipelineTenants(cfg *config.Config, open stores) []actors.TenantConfig {
	var all []actors.TenantConfig
	for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		t := cfg.Tenants[name]
		linger := time.Duration(-1)
		if !t.Batch.Linger.Auto {
			linger = t.Batch.Linger.Wait
		}
		a := actors.TenantConfig{
			Name:   name,
			Fields: event.Fields(t.Fields),
			Limits: event.Limits{MaxEvent: int(cfg.Data.MaxEvent), MaxEvents: cfg.Data.MaxEvents,
				MaxDepth: cfg.Data.MaxDepth, MaxSkew: time.Duration(cfg.Data.MaxClockSkew)},
			Pools:  actors.Pools(t.Pools),
			Budget: actors.Budget{Bytes: int64(t.Budget.Bytes), Events: int64(t.Budget.Events)},
			Rate:   actors.Rate{EventsPerSecond: float64(t.Rate.EventsPerSecond), Burst: t.Rate.Burst},
			Batch:  actors.BatchPolicy{MaxEvents: t.Batch.MaxEvents, MaxBytes: int(t.Batch.MaxBytes), Linger: linger},
			Users: actors.UserPolicy{PerUser: t.Budget.PerUser, Idle: time.Duration(t.Users.Idle),
				Window: time.Duration(t.Users.Dedupe.Window), MaxIDs: t.Users.Dedupe.MaxIDs, Memory: int64(t.Users.Memory)},
			Supervision: actors.SupervisionPolicy{MaxAttempts: t.Supervision.MaxAttempts, MaxRestarts: t.Supervision.MaxRestarts,
				Within:     time.Duration(t.Supervision.Within),
				MinBackoff: time.Duration(t.Supervision.Backoff.Min), MaxBackoff: time.Duration(t.Supervision.Backoff.Max)},
		}
		for _, sink := range t.Sink {
			a.Sinks = append(a.Sinks, binding(cfg, open, name, sink))
		}
		all = append(all, a)
	}
	return all
}

func binding(cfg *config.Config, open stores, tenant, sink string) actors.SinkBinding {
	s := cfg.Sinks[sink]
	return actors.SinkBinding{
		Name:  sink,
		Sink:  open[sink].tenant(tenant, time.Duration(cfg.TTL(tenant, sink))),
		Retry: actors.RetryPolicy{Min: time.Duration(s.Retry.Min), Max: time.Duration(s.Retry.Max), GiveUp: time.Duration(s.Retry.GiveUp), Timeout: time.Duration(s.Timeout)},
		Circuit: actors.CircuitPolicy{Failures: s.Circuit.Failures, MinProbe: time.Duration(s.Circuit.ProbeMin),
			MaxProbe: time.Duration(s.Circuit.ProbeMax), Timeout: time.Duration(s.Timeout)},
	}
}

// gatewayTenants maps the tenants of the configuration onto the data port. A
// tenant's events are read from the first of its sinks that can be read.
func gatewayTenants(cfg *config.Config, tenants []actors.TenantConfig, pipeline *actors.Pipeline) []gateway.Tenant {
	var all []gateway.Tenant
	for _, a := range tenants {
		t := cfg.Tenants[a.Name]
		in := pipeline.Tenant(a.Name)
		g := gateway.Tenant{
			Name: a.Name, DefaultAck: t.Ack.Default, WeakestAck: t.Ack.Weakest, Intake: in, Users: in,
			Fill: func(dst []byte, e *event.Event) []byte { return event.Fill(dst, e, a.Fields) },
		}
		for _, k := range t.Keys {
			g.Keys = append(g.Keys, k)
		}
		for _, b := range a.Sinks {
			if r, ok := b.Sink.(sinks.Reader); ok {
				g.Reader = r
				break
			}
		}
		all = append(all, g)
	}
	return all
}

// readiness shows the admin port how the pipeline stands.
type readiness struct{ pipeline *actors.Pipeline }

// Ready implements admin.Readiness.
func (r readiness) Ready() (draining bool, all []admin.SinkState) {
	draining, status := r.pipeline.Ready()
	for _, s := range status {
		all = append(all, admin.SinkState{Tenant: s.Tenant, Sink: s.Sink, State: s.State.String(), Reason: s.Reason, Since: s.Since})
	}
	return draining, all
}
