package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Readiness is where the port asks how the gateway stands. It is asked for each
// probe, by many goroutines at once, and must not block.
type Readiness interface {
	// Ready says whether the gateway is about to stop, and how the sinks of each
	// tenant stand; the slice is the caller's. No sinks: it is still starting.
	Ready() (draining bool, sinks []SinkState)
}

// SinkState is how one sink of one tenant stands.
type SinkState struct {
	Tenant string    `json:"-"`
	Sink   string    `json:"sink"`
	State  string    `json:"state"` // ready, connecting, open (the circuit) or half-open
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"` // when it came into this state
}

// sinkReady is the state in which a sink takes events.
const sinkReady = "ready"

// readiness is the answer of /readyz.
type readiness struct {
	Ready    bool          `json:"ready"`
	Draining bool          `json:"draining"`
	Reason   string        `json:"reason,omitempty"` // of not being ready
	Tenants  []tenantState `json:"tenants,omitempty"`
}

type tenantState struct {
	Tenant string      `json:"tenant"`
	Ready  bool        `json:"ready"` // all of its sinks are
	Sinks  []SinkState `json:"sinks"`
}

// ready decides whether the gateway should get traffic: not when it is
// draining, and not when it could serve no tenant at all. One tenant that can
// be served is enough. Readiness is of the whole pod, and taking the pod out
// because of one tenant's sink would take the sink's failure to every other
// tenant; the one that suffers is answered 503 with Retry-After by itself.
func ready(draining bool, sinks []SinkState) readiness {
	r := readiness{Draining: draining}
	slices.SortFunc(sinks, func(a, b SinkState) int {
		if c := strings.Compare(a.Tenant, b.Tenant); c != 0 {
			return c
		}
		return strings.Compare(a.Sink, b.Sink)
	})
	served := 0
	for len(sinks) > 0 {
		n := slices.IndexFunc(sinks, func(s SinkState) bool { return s.Tenant != sinks[0].Tenant })
		if n < 0 {
			n = len(sinks)
		}
		t := tenantState{Tenant: sinks[0].Tenant, Ready: true, Sinks: sinks[:n:n]}
		for _, s := range t.Sinks {
			t.Ready = t.Ready && s.State == sinkReady
		}
		if t.Ready {
			served++
		}
		r.Tenants = append(r.Tenants, t)
		sinks = sinks[n:]
	}
	switch {
	case draining:
		r.Reason = "the gateway is about to stop"
	case len(r.Tenants) == 0:
		r.Reason = "the gateway is starting"
	case served == 0:
		r.Reason = "no tenant has all of its sinks"
	default:
		r.Ready = true
	}
	return r
}

type readyz struct{ o Options }

func (h readyz) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := ready(h.o.Readiness.Ready())
	// Reasons name machines. Whoever could not read the rest of the port gets
	// the verdict, which is all that a probe needs.
	if h.o.Token != "" && !authorized(r, h.o.Token) || h.o.Token == "" && rebound(r) {
		answer.Tenants = nil
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, "application/json", answer)
}
