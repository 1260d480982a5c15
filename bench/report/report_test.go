package report

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
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

func TestTable(t *testing.T) {
	doubtful := spike(t)
	doubtful.Stopped = "interrupted"
	doubtful.Load.Rate = 66_667
	doubtful.Generator.LateP99 = 18_400
	doubtful.Generator.CPUSeconds = 400
	doubtful.Generator.Limit = 70_000
	doubtful.Machine.Load1 = 6.2
	doubtful.Verified = &result.Verified{Sink: "cassandra", Found: 10, Lost: 3, Duplicate: 1, Examples: []string{"9f2c-0-17 of u4: lost"}}
	doubtful.Knee = &result.Knee{LimitP99: 20_000, Rate: 92_000, Above: 96_000}
	for _, tc := range []struct {
		name string
		run  *result.Run
	}{{"spike", spike(t)}, {"doubtful", doubtful}, {"smoke", smoke()}} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Table(&b, tc.run); err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".txt", b.Bytes())
		})
	}
}

// TestWarnings spoils a good run in one way at a time.
func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*result.Run)
		want  string // empty: none
	}{
		{"a good run has no warning", func(*result.Run) {}, ""},
		{"a late generator spoils an open loop", func(r *result.Run) { r.Generator.LateP99 = 2_001 }, "the generator was late"},
		{"a closed loop is never late", func(r *result.Run) { r.Generator.LateP99, r.Load.Loop = 9_999, "closed" }, ""},
		{"busy processors spoil an open loop", func(r *result.Run) { r.Server.CPUSeconds = 8*60 - 30 }, "the processors were busy"},
		{"a closed loop is meant to keep them busy", func(r *result.Run) { r.Server.CPUSeconds, r.Load.Loop = 8*60-30, "closed" }, ""},
		{"a generator that takes all cores spoils a closed loop", func(r *result.Run) { r.Generator.CPUSeconds, r.Load.Loop = 8*60, "closed" }, "CPU-bound"},
		{"a rate near the generator's limit is the generator's", func(r *result.Run) { r.Generator.Limit = 80_000 }, "near its own limit"},
		{"other work spoils a run", func(r *result.Run) { r.Machine.Load1 = 5 }, "did other work"},
		{"a run that was stopped says so", func(r *result.Run) { r.Stopped = "interrupted" }, "before its time: interrupted"},
		{"lost events stand first", func(r *result.Run) { r.Verified.Lost = 1 }, "1 lost"},
		{"order is judged in Kafka", func(r *result.Run) { r.Verified.OutOfOrder = 4 }, "4 out of order"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := spike(t)
			tc.spoil(r)
			got := strings.Join(Warnings(r), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("Warnings: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFigures(t *testing.T) {
	for _, tc := range []struct{ name, got, want string }{
		{"thousands have commas", Count(1_234_567), "1,234,567"},
		{"three digits have none", Count(999), "999"},
		{"a small rate has a digit behind the point", Rate(12.34), "12.3"},
		{"a great rate has none", Rate(12_345.6), "12,346"},
		{"microseconds", Micros(999), "999 µs"},
		{"milliseconds begin where microseconds would have four digits", Micros(999.5), "1 ms"},
		{"milliseconds have three digits", Micros(12_345), "12.3 ms"},
		{"seconds begin where milliseconds would have four digits", Micros(999_500), "1 s"},
		{"seconds", Micros(1_234_000), "1.23 s"},
		{"what is not all does not look like it", percent(0.99999), ">99.99 %"},
		{"nor what is not nothing", percent(0.00001), "<0.01 %"},
		{"all is all", percent(1), "100 %"},
		{"a terminal is not commanded", Clean("a\x1b[2Jb\u202ec"), "a\ufffd[2Jb\ufffdc"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
		}
	}
}

func TestFileKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.json")
	want := spike(t)
	if err := WriteFile(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back:\n%+v\nwritten:\n%+v", got, want)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left in the folder, want the one that was written", len(left))
	}
}

func TestWriteFileSaysWhatFailed(t *testing.T) {
	if err := WriteFile(filepath.Join(t.TempDir(), "none", "run.json"), smoke()); err == nil || !strings.Contains(err.Error(), "keep the result") {
		t.Errorf("error %v", err)
	}
	r, dir := smoke(), t.TempDir()
	r.Seconds = math.NaN()
	if err := WriteFile(filepath.Join(dir, "run.json"), r); err == nil {
		t.Error("a run that JSON cannot hold is kept")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%d files are left over", len(left))
	}
}

func TestReadFileRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a newer version", `{"version":2,"scenario":"x","novelty":1}`, "version 2; this sluice reads up to 1"},
		{"no version", `{"scenario":"x"}`, `it has no "version"`},
		{"version 0", `{"version":0}`, `it has no "version"`},
		{"an unknown field", `{"version":1,"scenario":"x","novelty":1}`, `unknown field "novelty"`},
		{"a wrong type", `{"version":1,"scenario":7}`, "scenario"},
		{"no scenario", `{"version":1}`, "names no scenario"},
		{"two values", "{\"version\":1,\"scenario\":\"x\"}\n{}", "line 2: not JSON"},
		{"half a file", "{\"version\":1,\n\"scenario\":", "line 2: not JSON"},
		{"a list", `[]`, "not a result of sluice bench"},
		{"nothing", ``, "line 1: not JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run.json")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadFile(path)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want the path and %q", err, tc.want)
			}
		})
	}
	if _, err := ReadFile("none.json"); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestHistogramLog reads the log with the library's reader, which is not what
// wrote the numbers into it.
func TestHistogramLog(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*result.Run)
		want   []string // tag and count
	}{
		{"phases that make up the run are intervals, tenants have tags", func(*result.Run) {}, []string{" 8000", " 8000", " 8000", "acme 12000", "noisy 12000"}},
		{"phases that do not are left out", func(r *result.Run) { r.Phases = r.Phases[1:] }, []string{" 24000", "acme 12000", "noisy 12000"}},
		{"a phase without a histogram leaves all out", func(r *result.Run) { r.Phases[1].Latency.Histogram = "" }, []string{" 24000", "acme 12000", "noisy 12000"}},
		{"a tag has neither commas nor blanks", func(r *result.Run) { r.Phases, r.Tenants[1].Name = nil, "a, b\n" }, []string{" 24000", "acme 12000", "a__b_ 12000"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := spike(t)
			tc.change(r)
			var b bytes.Buffer
			if err := HistogramLog(&b, r); err != nil {
				t.Fatal(err)
			}
			log := hdrhistogram.NewHistogramLogReader(&b)
			var got []string
			var most int64
			for {
				h, err := log.NextIntervalHistogram()
				if err != nil {
					t.Fatal(err)
				}
				if h == nil {
					break
				}
				got = append(got, strings.TrimSpace(h.Tag())+" "+plain(h.TotalCount()))
				most = max(most, h.Max())
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("intervals %q, want %q", got, tc.want)
			}
			if want := r.Latency.Max * nanos; math.Abs(float64(most-want)) > 0.002*float64(want) {
				t.Errorf("the largest value is %d ns, want %d", most, want)
			}
		})
	}
}

func plain(n int64) string { return strings.ReplaceAll(Count(uint64(n)), ",", "") }

func TestHistogramLogNeedsAHistogram(t *testing.T) {
	var b bytes.Buffer
	if err := HistogramLog(&b, smoke()); err == nil || !strings.Contains(err.Error(), "histogram of the run") || b.Len() > 0 {
		t.Errorf("error %v after %d bytes", err, b.Len())
	}
}

// TestNanosKeepPercentiles compares the distribution before and after.
func TestNanosKeepPercentiles(t *testing.T) {
	r := spike(t)
	before, err := decode(&r.Latency)
	if err != nil {
		t.Fatal(err)
	}
	after, err := inNanos(before)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []float64{0, 1, 50, 90, 99, 99.9, 99.99, 100} {
		want, got := float64(before.ValueAtPercentile(p))*nanos, float64(after.ValueAtPercentile(p))
		if math.Abs(got-want) > 0.0021*want {
			t.Errorf("p%v is %v ns, and was %v", p, got, want)
		}
	}
}

func TestThin(t *testing.T) {
	all := []result.Sample{
		{At: 0, Sent: 10, P50: 5, P99: 9, Max: 10, ServerCPU: 1, ServerRSS: 7, Mailboxes: map[string]float64{"writer": 3}},
		{At: 1, Sent: 20, P50: 7, P99: 99, Max: 100, ServerCPU: 2, ServerRSS: 8, CreditShare: 0.5, Mailboxes: map[string]float64{"writer": 1, "user": 2}},
		{At: 2, Sent: 60, P50: 6, P99: 8, Max: 9, ServerCPU: 3, ServerRSS: 6},
		{At: 3, Sent: 5},
	}
	if got, seconds := thin(all, 4); seconds != 1 || !reflect.DeepEqual(got, all) {
		t.Errorf("what is few enough is changed: %+v", got)
	}
	got, seconds := thin(all, 2)
	want := []result.Sample{
		{At: 0, Sent: 15, P50: 7, P99: 99, Max: 100, ServerCPU: 1.5, ServerRSS: 8, CreditShare: 0.5, Mailboxes: map[string]float64{"writer": 3, "user": 2}},
		{At: 2, Sent: 32.5, P50: 6, P99: 8, Max: 9, ServerCPU: 1.5, ServerRSS: 6},
	}
	if seconds != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("stretches of %d s: %+v\nwant %+v", seconds, got, want)
	}
}
