package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheSmokeScenarioShowsWhatTheGatewayDid runs it against the configuration that
// comes with it, and compares the result with what the gateway says of itself.
func TestTheSmokeScenarioShowsWhatTheGatewayDid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../bench/scenarios/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:0", "127.0.0.1:8081", "127.0.0.1:0").Replace(string(text))
	p := serveReady(t, write(t, "sluice.yaml", config))
	path := filepath.Join(t.TempDir(), "result.json")
	got := sluice(t, nil, "bench", "../bench/scenarios/smoke.yaml", "--url", "http://"+p.data, "--admin", "http://"+p.admin,
		"--warmup", "0", "--count", "1000", "--json", path)
	if got.code != 0 || !strings.Contains(got.out, "accepted") {
		t.Fatalf("code %d:\n%s%s", got.code, got.out, got.err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Scenario string
		Totals   struct {
			Requests, Sent, Accepted, Duplicates, Rejected, Failed, Unknown, Unsent uint64
			Refused                                                                 map[string]uint64
		}
		Latency struct{ Count uint64 }
		Server  *struct{}
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	n := r.Totals
	if r.Scenario != "smoke" || n.Requests != 200 || n.Sent != 1000 || n.Accepted+n.Duplicates+n.Rejected != 1000 || len(n.Refused) != 0 || r.Latency.Count == 0 || r.Server == nil {
		t.Errorf("got %s", data)
	}
	if n.Duplicates == 0 || n.Rejected == 0 {
		t.Errorf("of a bit of everything: %+v", n)
	}
	for outcome, want := range map[string]uint64{"stored": n.Accepted, "duplicate": n.Duplicates, "rejected": n.Rejected} {
		if got := p.metric(`sluice_events_total{outcome="` + outcome + `",tenant="bench"}`); uint64(got) != want {
			t.Errorf("the gateway has %v %s, the result %d", got, outcome, want)
		}
	}
	p.stop()
}

func TestABenchmarkOfWhatIsNoGatewayFails(t *testing.T) {
	t.Parallel()
	p := serveReady(t, configure(t, localStore))
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing is accepted without a key", []string{"--url", "http://" + p.data, "--count", "10", "--warmup", "0"}, 1, "nothing was accepted: 401 missing_key"},
		{"nobody is there", []string{"--url", "http://127.0.0.1:1"}, 1, "cannot connect to 127.0.0.1:1"},
		{"nobody is at the admin port", []string{"--admin", "http://127.0.0.1:1"}, 1, "--admin: "},
		{"a value that cannot be", []string{"--connections", "0"}, 2, "connections: want 1 to"},
		{"a flag that there is not", []string{"--no-such-flag"}, 2, "unknown flag"},
		{"a file that there is not", []string{"no-such.yaml"}, 2, "no-such.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := sluice(t, []string{"SLUICE_KEY="}, append([]string{"bench"}, tc.args...)...)
			if got.code != tc.code || !strings.Contains(got.err, tc.want) {
				t.Errorf("code %d, want %d and %q:\n%s%s", got.code, tc.code, tc.want, got.out, got.err)
			}
		})
	}
}

// TestTheGeneratorMeasuresItself runs --limit, which starts a server of its own.
func TestTheGeneratorMeasuresItself(t *testing.T) {
	t.Parallel()
	p := serveReady(t, configure(t, localStore))
	got := sluice(t, []string{"SLUICE_KEY=" + keyOf("acme")}, "bench", "--url", "http://"+p.data, "--count", "200", "--warmup", "0", "--limit", "--json", "-")
	var r struct {
		Totals    struct{ Accepted uint64 }
		Generator struct{ Limit float64 }
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("code %d, %v:\n%s%s", got.code, err, got.out, got.err)
	}
	if r.Totals.Accepted != 200 || r.Generator.Limit <= 0 {
		t.Errorf("got %s", got.out)
	}
}
