package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"sluice/bench/report"
	run "sluice/bench/result"
)

// keepRuns keeps runs with so many events/s in a folder, and returns it.
func keepRuns(t *testing.T, scenario string, rates ...float64) string {
	t.Helper()
	dir := t.TempDir()
	for i, rate := range rates {
		r := &run.Run{Version: run.Version, Scenario: scenario, Seconds: 10, Totals: run.Totals{EventsPerS: rate},
			Load: run.Load{Loop: "closed", Format: "single", Batch: 1, Connections: 8, Users: 10, EventBytes: 500}}
		if err := report.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)), r); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runCompare runs `sluice bench compare` with these arguments.
func runCompare(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var cmd benchCompareCmd
	parser, err := kong.New(&cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	std := stdio{In: strings.NewReader(""), Out: &o, Err: &e}
	return finish(std, cmd.Run(context.Background(), std)), o.String(), e.String()
}

func TestBenchCompare(t *testing.T) {
	before := keepRuns(t, "steady", 100, 101, 102, 103, 104)
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"the same runs have no regression", []string{before, before}, exitDone, "No regression past 5 %"},
		{"a slower set has one", []string{before, keepRuns(t, "steady", 80, 81, 82, 83, 84)}, exitFailed, "REGRESSION past 5 %: events/s"},
		{"unless the limit allows it", []string{before, keepRuns(t, "steady", 80, 81, 82, 83, 84), "--limit", "25 %"}, exitDone, "worse by 19.6 %"},
		{"runs of other work are wrong use", []string{before, keepRuns(t, "spike", 100)}, exitUsage, "scenario steady and spike"},
		{"that can be forced", []string{before, keepRuns(t, "spike", 100), "--force"}, exitDone, "DIFFERENT WORK"},
		{"a limit is a percentage", []string{before, before, "--limit", "five"}, exitUsage, "want a percentage"},
		{"a negative limit is none", []string{before, before, "--limit=-1"}, exitUsage, "want a percentage"},
		{"a file that is not there is named", []string{before, "none.json"}, exitFailed, "none.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errs := runCompare(t, tc.args...)
			if code != tc.code || !strings.Contains(out+errs, tc.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", code, tc.code, tc.want, out, errs)
			}
		})
	}
}

func TestBenchCompareJSON(t *testing.T) {
	code, out, errs := runCompare(t, "--json", keepRuns(t, "steady", 100), keepRuns(t, "steady", 80))
	var found struct {
		Confidence  float64
		Regressions []string
		Figures     []struct {
			Name    string
			Ratio   float64
			Verdict string
		}
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if code != exitFailed || errs != "" || found.Confidence != 0 || len(found.Regressions) != 1 || found.Figures[0].Ratio != 0.8 || found.Figures[0].Verdict != "regression" {
		t.Errorf("exit code %d, %+v, %q", code, found, errs)
	}
}
