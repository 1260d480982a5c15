package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/event"
)

func TestRequestsAreCountedByTenantAndStatus(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := New(reg)
	m.Request("acme", 200, 10, 0.001)
	m.Request("acme", 200, 5, 0.001)
	m.Request("", 401, 0, 0.001)
	want := `
# HELP sluice_request_bytes_total Bytes of request bodies as they came, before decompression.
# TYPE sluice_request_bytes_total counter
sluice_request_bytes_total{tenant=""} 0
sluice_request_bytes_total{tenant="acme"} 15
# HELP sluice_requests_total Requests on the data port by tenant (empty: not authenticated) and status.
# TYPE sluice_requests_total counter
sluice_requests_total{code="200",tenant="acme"} 2
sluice_requests_total{code="401",tenant=""} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_requests_total", "sluice_request_bytes_total"); err != nil {
		t.Error(err)
	}
}

func TestEveryOutcomeIsThereFromTheStart(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	tenant := New(reg).Tenant("acme")
	tenant.Events[event.Stored].Add(2)
	if n, err := testutil.GatherAndCount(reg, "sluice_events_total"); err != nil || n != event.Fates-1 {
		t.Errorf("%d outcomes, %v", n, err)
	}
	if got := testutil.ToFloat64(tenant.Events[event.Stored]); got != 2 {
		t.Errorf("stored: %v", got)
	}
}

func TestGaugesAreReadAtEachScrape(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	g := Gauges{Tenant: "acme", BytesInUse: 1, BytesLimit: 2, EventsInUse: 3, EventLimit: 4, Depth: map[string]int{"parser": 5},
		UsersLive: 6, UsersAtRest: 7, UserBytes: 8, Sinks: []SinkGauge{{"bus", "ready"}, {"store", "open"}}}
	Watch(reg, func() []Gauges { return []Gauges{g} })
	want := `
# HELP sluice_sink_ready 1 when events may flow to the sink, 0 while it is connecting or its circuit is open.
# TYPE sluice_sink_ready gauge
sluice_sink_ready{sink="bus",tenant="acme"} 1
sluice_sink_ready{sink="store",tenant="acme"} 0
# HELP sluice_users Users with an actor (live) and with remembered state only (at_rest).
# TYPE sluice_users gauge
sluice_users{state="at_rest",tenant="acme"} 7
sluice_users{state="live",tenant="acme"} 6
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_sink_ready", "sluice_users"); err != nil {
		t.Error(err)
	}
	g.UsersLive = 9
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 10 {
		t.Errorf("%d series, %v", n, err)
	}
}
