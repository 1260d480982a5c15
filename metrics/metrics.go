// Package metrics names what sluice counts and measures, and hands the stages
// counters that are looked up once: counting an event costs one atomic addition.
//
// Label sets are bounded by the configuration (tenant, sink) or by the code
// (stage, outcome, reason, status): never by what clients send.
package metrics

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/event"
)

// Metrics is every family of the process, on one registry.
type Metrics struct {
	requests     *prometheus.CounterVec
	requestBytes *prometheus.CounterVec
	requestTime  *prometheus.HistogramVec
	events       *prometheus.CounterVec
	lost         *prometheus.CounterVec
	stageTime    *prometheus.HistogramVec
	restarts     *prometheus.CounterVec
	quarantined  *prometheus.CounterVec
	batchEvents  *prometheus.HistogramVec
	batchBytes   *prometheus.HistogramVec
	writeTime    *prometheus.HistogramVec
	writeErrors  *prometheus.CounterVec
	retries      *prometheus.CounterVec
	driverTime   *prometheus.HistogramVec

	byTenant sync.Map // tenant → *requests
}

// New registers the families on reg.
func New(reg prometheus.Registerer) *Metrics {
	latency := prometheus.ExponentialBuckets(0.0001, 2, 18) // 100 µs to 13 s
	m := &Metrics{
		requests:     counter("requests_total", "Requests on the data port by tenant (empty: not authenticated) and status.", "tenant", "code"),
		requestBytes: counter("request_bytes_total", "Bytes of request bodies as they came, before decompression.", "tenant"),
		requestTime:  histogram("request_seconds", "From the first byte of the body to the answer.", latency, "tenant"),
		events:       counter("events_total", "Events by the outcome that their sender was told.", "tenant", "outcome"),
		lost:         counter("events_lost_total", "Events answered as received that the sink then did not store.", "tenant"),
		stageTime:    histogram("stage_seconds", "Time in a stage, waiting and working: parser and validator by request, batcher and writer by batch.", latency, "tenant", "stage"),
		restarts:     counter("actor_restarts_total", "Actors restarted after a failure, by what failed.", "tenant", "stage", "reason"),
		quarantined:  counter("quarantined_total", "Messages put aside after max_attempts failures.", "tenant", "stage"),
		batchEvents:  histogram("batch_events", "Events in a batch.", prometheus.ExponentialBuckets(1, 2, 14), "tenant", "sink"),
		batchBytes:   histogram("batch_bytes", "Bytes in a batch.", prometheus.ExponentialBuckets(256, 4, 9), "tenant", "sink"),
		writeTime:    histogram("sink_write_seconds", "One attempt to write a batch.", latency, "tenant", "sink"),
		writeErrors:  counter("sink_errors_total", "Attempts that failed, by kind: retryable, partial, permanent.", "tenant", "sink", "kind"),
		retries:      counter("sink_retries_total", "Attempts after the first.", "tenant", "sink"),
		driverTime:   histogram("cassandra_request_seconds", "One request to one Cassandra node, by what it was for and how it ended.", latency, "sink", "op", "result"),
	}
	reg.MustRegister(m.requests, m.requestBytes, m.requestTime, m.events, m.lost, m.stageTime, m.restarts,
		m.quarantined, m.batchEvents, m.batchBytes, m.writeTime, m.writeErrors, m.retries, m.driverTime)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "sluice", Name: name, Help: help, Buckets: buckets}, labels)
}

// requests is the counters of one tenant's requests.
type requests struct {
	bytes  prometheus.Counter
	time   prometheus.Observer
	status [600]atomic.Pointer[prometheus.Counter]
}

// Request counts one answered request: the bytes of its body as they came, and
// the seconds until it was answered. The tenant is one of the configuration, or
// empty.
func (m *Metrics) Request(tenant string, status, bytes int, seconds float64) {
	found, ok := m.byTenant.Load(tenant)
	if !ok {
		found, _ = m.byTenant.LoadOrStore(tenant, &requests{
			bytes: m.requestBytes.WithLabelValues(tenant), time: m.requestTime.WithLabelValues(tenant)})
	}
	r := found.(*requests)
	r.bytes.Add(float64(bytes))
	r.time.Observe(seconds)
	if status < 0 || status >= len(r.status) {
		status = 0
	}
	c := r.status[status].Load()
	if c == nil {
		n := m.requests.WithLabelValues(tenant, strconv.Itoa(status))
		c = &n
		r.status[status].Store(c)
	}
	(*c).Inc()
}

// Tenant is the counters of one tenant's pipeline.
type Tenant struct {
	Events [event.Fates]prometheus.Counter // by event.Fate
	Lost   prometheus.Counter

	ParserTime, ValidatorTime, BatcherTime, WriterTime prometheus.Observer

	name string
	all  *Metrics
}

// Tenant returns the counters of the tenant called name.
func (m *Metrics) Tenant(name string) *Tenant {
	t := &Tenant{
		Lost:          m.lost.WithLabelValues(name),
		ParserTime:    m.stageTime.WithLabelValues(name, event.StageParser),
		ValidatorTime: m.stageTime.WithLabelValues(name, event.StageValidator),
		BatcherTime:   m.stageTime.WithLabelValues(name, event.StageBatcher),
		WriterTime:    m.stageTime.WithLabelValues(name, event.StageWriter),
		name:          name, all: m,
	}
	for f := event.Stored; int(f) < event.Fates; f++ {
		t.Events[f] = m.events.WithLabelValues(name, f.String())
	}
	return t
}

// Restarted counts a failure of an actor of stage; reason is panic or quarantine.
func (t *Tenant) Restarted(stage, reason string) {
	t.all.restarts.WithLabelValues(t.name, stage, reason).Inc()
}

// Quarantined counts a message of stage that was put aside.
func (t *Tenant) Quarantined(stage string) {
	t.all.quarantined.WithLabelValues(t.name, stage).Inc()
}

// Sink is the counters of one tenant's use of one sink.
type Sink struct {
	BatchEvents, BatchBytes, WriteTime prometheus.Observer
	Retryable, Partial, Permanent      prometheus.Counter // attempts that failed, by kind
	Retries                            prometheus.Counter
}

// Sink returns the counters of t's use of the sink called name.
func (t *Tenant) Sink(name string) *Sink {
	return &Sink{
		BatchEvents: t.all.batchEvents.WithLabelValues(t.name, name),
		BatchBytes:  t.all.batchBytes.WithLabelValues(t.name, name),
		WriteTime:   t.all.writeTime.WithLabelValues(t.name, name),
		Retryable:   t.all.writeErrors.WithLabelValues(t.name, name, "retryable"),
		Partial:     t.all.writeErrors.WithLabelValues(t.name, name, "partial"),
		Permanent:   t.all.writeErrors.WithLabelValues(t.name, name, "permanent"),
		Retries:     t.all.retries.WithLabelValues(t.name, name),
	}
}

// Cassandra notes one request of the sink called name to one node: what it was
// for, how it ended, and the seconds it took.
func (m *Metrics) Cassandra(name, op, result string, seconds float64) {
	m.driverTime.WithLabelValues(name, op, result).Observe(seconds)
}
