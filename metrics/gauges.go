package metrics

import "github.com/prometheus/client_golang/prometheus"

// Gauges is what can be read off a tenant's pipeline at one moment.
type Gauges struct {
	Tenant                  string
	BytesInUse, BytesLimit  int64 // credits
	EventsInUse, EventLimit int64
	Depth                   map[string]int // messages waiting, by stage
	UsersLive, UsersAtRest  int
	UserBytes               int64 // memory of user state, estimated
	Sinks                   []SinkGauge
}

// SinkGauge is the state of one sink for one tenant.
type SinkGauge struct {
	Sink  string
	State string // connecting, ready, open
}

type gauges struct {
	read func() []Gauges

	inUse, limit, depth, users, userBytes, sinkUp *prometheus.Desc
}

// Watch registers gauges on reg that call read at every scrape.
func Watch(reg prometheus.Registerer, read func() []Gauges) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_"+name, help, labels, nil)
	}
	reg.MustRegister(&gauges{
		read:      read,
		inUse:     desc("credits_in_use", "Part of a tenant's budget that is in flight.", "tenant", "unit"),
		limit:     desc("credits_limit", "A tenant's budget.", "tenant", "unit"),
		depth:     desc("mailbox_depth", "Messages waiting in the mailboxes of a stage.", "tenant", "stage"),
		users:     desc("users", "Users with an actor (live) and with remembered state only (at_rest).", "tenant", "state"),
		userBytes: desc("user_state_bytes", "Estimated memory of user actors and dedupe windows.", "tenant"),
		sinkUp:    desc("sink_ready", "1 when events may flow to the sink, 0 while it is connecting or its circuit is open.", "tenant", "sink"),
	})
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.inUse, g.limit, g.depth, g.users, g.userBytes, g.sinkUp} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	emit := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, t := range g.read() {
		emit(g.inUse, float64(t.BytesInUse), t.Tenant, "bytes")
		emit(g.inUse, float64(t.EventsInUse), t.Tenant, "events")
		emit(g.limit, float64(t.BytesLimit), t.Tenant, "bytes")
		emit(g.limit, float64(t.EventLimit), t.Tenant, "events")
		for stage, n := range t.Depth {
			emit(g.depth, float64(n), t.Tenant, stage)
		}
		emit(g.users, float64(t.UsersLive), t.Tenant, "live")
		emit(g.users, float64(t.UsersAtRest), t.Tenant, "at_rest")
		emit(g.userBytes, float64(t.UserBytes), t.Tenant)
		for _, s := range t.Sinks {
			up := 0.0
			if s.State == "ready" {
				up = 1
			}
			emit(g.sinkUp, up, t.Tenant, s.Sink)
		}
	}
}
