package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bench/report"
	"sluice/bench/result"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run is a run whose figures are all a factor times the usual ones.
func run(factor float64) *result.Run {
	us := func(usual float64) int64 { return int64(usual * factor) }
	return &result.Run{
		Version: result.Version, Scenario: "steady", Target: "http://127.0.0.1:8080", Started: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Seconds: 60,
		Machine: result.Machine{Cores: 8, OS: "linux/amd64", Go: "go1.26.0", Version: "v0.4.0"},
		Load:    result.Load{Loop: "closed", Connections: 64, Format: "single", Batch: 1, EventBytes: 512, Users: 10_000, Ack: "stored"},
		Totals:  result.Totals{Accepted: uint64(1_800_000 / factor), EventsPerS: 30_000 / factor},
		Latency: result.Latency{Count: 1_800_000, P50: us(2_000), P99: us(5_400), P999: us(9_100), Max: us(31_000)},
		Server:  &result.Server{CPUSeconds: 40, CPUPerEvent: 24 * factor, RSSMax: uint64(120 * factor * (1 << 20))},
	}
}

// set is a set of runs, called name1.json and so on.
func set(name string, factors ...float64) []File {
	var all []File
	for i, f := range factors {
		all = append(all, File{fmt.Sprintf("%s%d.json", name, i+1), run(f)})
	}
	return all
}

var five = []float64{1, 1.01, 0.99, 1.02, 0.98}

func times(by float64, factors ...float64) []float64 {
	var all []float64
	for _, f := range factors {
		all = append(all, f*by)
	}
	return all
}

// TestText compares sets and holds what a person reads against testdata.
func TestText(t *testing.T) {
	spoilt := set("b", five...)
	spoilt[1].Run.Stopped = "interrupted"
	spoilt[2].Run.Verified = &result.Verified{Sink: "kafka", Found: 10, Lost: 2, OutOfOrder: 1}
	unwatched := set("b", five...)
	unwatched[4].Run.Server = nil
	other := set("b", five...)
	for _, f := range other {
		f.Run.Load.Connections, f.Run.Scenario, f.Run.Seconds = 256, "spike", 90
	}
	knees := set("a", five...)
	lower := set("b", five...)
	for i := range knees {
		knees[i].Run.Knee = &result.Knee{LimitP99: 20_000, Rate: 90_000 + float64(i)*100}
		lower[i].Run.Knee = &result.Knee{LimitP99: 20_000, Rate: 80_000 + float64(i)*100}
	}
	for _, tc := range []struct {
		name   string
		a, b   []File
		force  bool
		failed bool
	}{
		{"better", set("a", five...), set("b", times(0.8, five...)...), false, false},
		{"worse-within-limit", set("a", five...), set("b", times(1.045, five...)...), false, false},
		{"regression", set("a", five...), set("b", times(1.2, five...)...), false, true},
		{"noise", set("a", 1, 1.3, 0.8, 1.1, 0.9), set("b", 1.2, 0.85, 1.35, 0.95, 1.1), false, false},
		{"single-regression", set("a", 1), set("b", 1.2), false, true},
		{"single-better", set("a", 1), set("b", 0.97), false, false},
		{"too-few", set("a", 1, 1.01), set("b", 1.03, 1.02, 1.04), false, false},
		{"spoilt", set("a", five...), spoilt, false, true},
		{"unwatched", set("a", five...), unwatched, false, false},
		{"forced", set("a", five...), other, true, false},
		{"knee", knees, lower, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Compare(tc.a, tc.b, 0.05, tc.force)
			if err != nil {
				t.Fatal(err)
			}
			if c.Failed() != tc.failed {
				t.Errorf("Failed is %v, want %v", c.Failed(), tc.failed)
			}
			var b bytes.Buffer
			if err := c.Text(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".txt", b.Bytes())
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("as JSON: %v", err)
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was; if that is right, run go test -update. Now it is\n%s", path, got)
	}
}

func TestDifferentWorkIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*result.Run)
		want   string // empty: compared
	}{
		{"another scenario", func(r *result.Run) { r.Scenario = "spike" }, "scenario steady and spike: in a1.json and b1.json"},
		{"another loop", func(r *result.Run) { r.Load.Loop = "open" }, "loop closed and open"},
		{"another rate", func(r *result.Run) { r.Load.Rate = 5 }, "rate 0 and 5"},
		{"another number of connections", func(r *result.Run) { r.Load.Connections = 65 }, "connections 64 and 65"},
		{"another format", func(r *result.Run) { r.Load.Format = "ndjson" }, "format single and ndjson"},
		{"another batch", func(r *result.Run) { r.Load.Batch = 2 }, "batch 1 and 2"},
		{"another size", func(r *result.Run) { r.Load.EventBytes = 600 }, "event bytes 512 and 600"},
		{"other users", func(r *result.Run) { r.Load.Users = 1 }, "users 10000 and 1"},
		{"another ack", func(r *result.Run) { r.Load.Ack = "" }, "ack stored and default"},
		{"another length", func(r *result.Run) { r.Seconds = 50 }, "seconds 60 and 50"},
		{"a mean size that is nearly the same", func(r *result.Run) { r.Load.EventBytes = 514 }, ""},
		{"another seed, machine and address", func(r *result.Run) { r.Seed, r.Machine.Cores, r.Target = 9, 4, "http://h:1" }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := set("b", 1)
			tc.change(b[0].Run)
			_, err := Compare(set("a", 1), b, 0.05, false)
			var different *DifferentError
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!errors.As(err, &different) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	mixed := set("a", 1, 1)
	mixed[1].Run.Load.Users = 5
	if _, err := Compare(mixed, set("b", 1), 0.05, false); err == nil || !strings.Contains(err.Error(), "in a1.json and a2.json") {
		t.Errorf("a set of different runs: %v", err)
	}
	if _, err := Compare(nil, set("b", 1), 0.05, false); err == nil {
		t.Error("nothing is compared with something")
	}
}

func TestFiguresThatCannotBeCompared(t *testing.T) {
	silent := set("b", five...)
	silent[0].Run.Latency = result.Latency{}
	idle := set("a", five...)
	for _, f := range idle {
		f.Run.Totals.EventsPerS = 0
	}
	c, err := Compare(idle, silent, 0.05, false)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.Missing, "\n")
	for _, want := range []string{"events/s is not compared: it is 0 in A", "p99 is not compared: b1.json without it"} {
		if !strings.Contains(got, want) {
			t.Errorf("it says %q, not %q", got, want)
		}
	}
	dead := set("b", five...)
	for _, f := range dead {
		f.Run.Totals.EventsPerS = 0
	}
	if c, err = Compare(set("a", five...), dead, 0.05, false); err != nil || !c.Failed() || c.Regressions[0] != "events/s" {
		t.Errorf("a B that takes nothing: %+v, %v", c, err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.json", "a.json", "set [1]/2.json", "set [1]/1.json", "set [1]/notes.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := report.WriteFile(path, run(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, tc := range []struct{ name, list, want, err string }{
		{"one file", "b.json", "b.json", ""},
		{"several files stay in their order", "b.json,a.json", "b.json a.json", ""},
		{"a folder is all its runs by name", "set [1]", "set [1]/1.json set [1]/2.json", ""},
		{"both", "b.json,set [1]", "b.json set [1]/1.json set [1]/2.json", ""},
		{"a file that is not there", "c.json", "", "c.json"},
		{"a file that is no run", "bad", "", `bad: not a result of sluice bench`},
		{"a folder without runs", "empty", "", "no .json in this folder"},
		{"an empty name", "a.json,", "", "a name is empty"},
		{"a run twice", "a.json,./a.json", "", "named twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files, err := Read(tc.list)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			var got []string
			for _, f := range files {
				got = append(got, f.Path)
			}
			if err != nil || strings.Join(got, " ") != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}
