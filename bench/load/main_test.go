package load

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test lets a run wait for what will come.
const patience = 30 * time.Second

// serve runs a server for the test, and returns a plan that sends count single
// events to it, one behind the other on one connection.
func serve(t *testing.T, count uint64, handler http.HandlerFunc) *Plan {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return planFor(t, s.URL, count)
}

func planFor(t testing.TB, target string, count uint64) *Plan {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{
		Name: "test", Target: Target{URL: target, Address: u.Host, Host: u.Host, Path: "/v1/events"},
		Tenants: []Tenant{{Name: "one", Key: "key", Weight: 1}}, Connections: 1, For: time.Hour, Count: count,
		Events: Events{Format: Single, Batch: 1, Sizes: []int{200}}, Users: Users{Count: 10},
		Timeout: patience, Seed: 1, Run: "test",
	}
}

// openLoop makes the plan one of a constant rate.
func openLoop(p *Plan, rate float64, length time.Duration) {
	p.Open = &Open{Rate: rate, Phases: []string{""}, Segments: []Segment{{From: rate, To: rate, For: length}}}
	p.For = length
}
