package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shipped are the scenarios that come with sluice.
func shipped(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../scenarios/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		if filepath.Base(f) != "sluice.yaml" {
			list = append(list, f)
		}
	}
	return list
}

func TestTheScenariosThatPeopleNeedAreThere(t *testing.T) {
	have := map[string]bool{}
	for _, f := range shipped(t) {
		have[strings.TrimSuffix(filepath.Base(f), ".yaml")] = true
	}
	for _, name := range []string{"smoke", "steady", "ramp-to-knee", "spike", "soak", "noisy-tenant", "hot-user", "slow-sink", "resend-storm"} {
		if !have[name] {
			t.Errorf("%s is not", name)
		}
	}
}

// TestScenariosMatchTheirConfiguration: each can be run, says what it is for, and
// the configuration beside them lets it in.
func TestScenariosMatchTheirConfiguration(t *testing.T) {
	c, err := config.Load("../scenarios/sluice.yaml", os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	known := map[config.KeyHash]bool{}
	for _, tenant := range c.Tenants {
		for _, k := range tenant.Keys {
			known[k] = true
		}
	}
	for _, f := range shipped(t) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			s, err := Read(f)
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.Plan("")
			if err != nil {
				t.Fatal(err)
			}
			if p.About == "" || p.Name != strings.TrimSuffix(filepath.Base(f), ".yaml") {
				t.Errorf("it is called %q and is about %q", p.Name, p.About)
			}
			if p.Target.Address != c.Data.Listen {
				t.Errorf("it sends to %s, not %s", p.Target.Address, c.Data.Listen)
			}
			for _, tenant := range p.Tenants {
				if !known[config.HashKey(tenant.Key)] {
					t.Errorf("no tenant has the key of %q", tenant.Name)
				}
			}
			text, err := os.ReadFile(f)
			if err != nil || !strings.HasPrefix(string(text), "# ") || !strings.Contains(string(text), "\n# Needs: ") {
				t.Errorf("it does not begin with its question and what it needs: %v", err)
			}
		})
	}
}
