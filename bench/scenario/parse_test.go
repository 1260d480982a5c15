package scenario

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/bench/load"
)

func TestMistakesSayWhereTheyAre(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"an unknown key", "load:\n  rat: 5\n", `s.yaml:2:3: unknown field "rat"`},
		{"a key twice", "seed: 1\nseed: 2\n", "s.yaml:2:1: "},
		{"no YAML", "load: {rate: 5\n", "s.yaml:1:"},
		{"a wrong type", "connections: many\n", "s.yaml:1:14: "},
		{"a size without a unit that exists", "events:\n  size: 12Q\n", "s.yaml:2:9: want a size such as 64MiB"},
		{"a duration without a unit", "for: 10\n", `s.yaml:1:6: want a duration such as 5ms, 1m30s, 24h or 7d (did you mean "10s"?)`},
		{"a duration that is a list", "for: [1]\n", "s.yaml:1:6: want a duration"},
		{"a rate that cannot be", "load: {rate: -5}\n", "s.yaml:1:14: load.rate: want a rate"},
		{"not a number", "load: {rate: .nan}\n", "load.rate: want a rate"},
		{"two loads", "load: {rate: 5, closed: true}\n", "load: want one of closed, rate"},
		{"a step without a time", "load:\n  steps:\n    - {rate: 5, for: 1s}\n    - {rate: 5}\n", "s.yaml:4:7: load.steps[1].for"},
		{"no end", "for: 0\n", "s.yaml:1:6: for: a run has to end"},
		{"a batch of single events", "events: {batch: 5}\n", "s.yaml:1:17: events.batch: a request of a single event has one"},
		{"an event that is too small", "events: {size: 10B}\n", "s.yaml:1:16: events.size: want 128 to"},
		{"a URL that is none", "url: 127.0.0.1:8080\n", "s.yaml:1:6: url: want one such as"},
		{"a password in the URL", "url: http://a:b@localhost\n", "url: want one such as"},
		{"a header of its own", "headers: {content-length: \"5\"}\n", "Content-Length is set by the generator"},
		{"a header that breaks the head", "headers: {X: \"a\\r\\nb\"}\n", "is no header"},
		{"a level that is none", "ack: sure\n", "s.yaml:1:6: ack: want stored"},
		{"a share above 1", "events: {duplicates: 1.5}\n", "events.duplicates: want a share"},
		{"hot users without a share", "users: {hot: 1}\n", "users.share: want a share"},
		{"more hot users than there are", "users: {count: 5, hot: 5, share: 0.5}\n", "users.hot: want fewer"},
		{"tenants of one name", "tenants: [{name: a}, {name: a}]\n", "there is another tenant"},
		{"tenants and a key", "key: k\ntenants: [{name: a}]\n", "there is none for all"},
		{"fewer connections than tenants", "connections: 1\ntenants: [{name: a}, {name: b}]\n", "connections: 2 tenants need"},
		{"a knee without a limit", "load: {knee: {from: 5}}\n", "which limit is the p99 to hold?"},
		{"a burst longer than its period", "load: {burst: {rate: 1, to: 2, every: 1s, length: 2s}}\n", "load.burst.every: want longer"},
		{"rewriting what is not a file", "events: {rewrite_id: true}\n", "it is for a file"},
		{"a run that is no part of an id", "run: a-b\n", "run: want at most 32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse([]byte(tc.text), "s.yaml")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestAnEmptyFileIsTheDefault(t *testing.T) {
	got, err := Parse(nil, "dir/some.yaml")
	want := Default()
	want.Name = "some"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPathsStartAtTheFile(t *testing.T) {
	s, err := Parse([]byte("key_file: k\nevents: {file: /abs/e}\n"), "dir/s.yaml")
	if err != nil || s.KeyFile != filepath.Join("dir", "k") || s.Events.File != "/abs/e" {
		t.Errorf("got %q, %q, %v", s.KeyFile, s.Events.File, err)
	}
}

// mustPlan parses a scenario and plans it.
func mustPlan(t *testing.T, text string) *load.Plan {
	t.Helper()
	s, err := Parse([]byte(text), filepath.Join(t.TempDir(), "s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan("given")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name, text string
		got        func(p *load.Plan) any
		want       any
	}{
		{"a URL without a path", "url: http://localhost", func(p *load.Plan) any { return p.Target.Address + p.Target.Path }, "localhost:80/v1/events"},
		{"of a Collector", "events: {format: otlp}", func(p *load.Plan) any { return p.Target.Path }, "/v1/logs"},
		{"with a path", "url: http://[::1]:9/x?y=z\nack: received", func(p *load.Plan) any { return p.Target.Address + p.Target.Path }, "[::1]:9/x?ack=received&y=z"},
		{"https", "url: https://example.com", func(p *load.Plan) any { return p.Target.Address + " " + p.Target.TLS.ServerName }, "example.com:443 example.com"},
		{"the key that is given", "", func(p *load.Plan) any { return p.Tenants[0].Key }, "given"},
		{"the key that is given, before its own", "key: own", func(p *load.Plan) any { return p.Tenants[0].Key }, "given"},
		{"keys of tenants, before the one that is given", "tenants: [{name: a, key: own}, {name: b}]",
			func(p *load.Plan) any { return p.Tenants[0].Key + " " + p.Tenants[1].Key }, "own given"},
		{"weights are 1", "tenants: [{name: a}, {name: b, weight: 2.5}]", func(p *load.Plan) any { return []float64{p.Tenants[0].Weight, p.Tenants[1].Weight} }, []float64{1, 2.5}},
		{"closed", "load: {closed: true}", func(p *load.Plan) any { return p.Open == nil && p.Knee == nil }, true},
		{"a rate", "for: 5s\nload: {rate: 7}", func(p *load.Plan) any { return p.Open.Segments }, []load.Segment{{From: 7, To: 7, For: 5 * s}}},
		{"a ramp", "for: 4s\nload: {ramp: {from: 0, to: 10, phases: 2}}", func(p *load.Plan) any { return p.Open.Segments },
			[]load.Segment{{Phase: 0, From: 0, To: 5, For: 2 * s}, {Phase: 1, From: 5, To: 10, For: 2 * s}}},
		{"steps", "load: {steps: [{rate: 1, for: 1s}, {name: x, rate: 2, for: 2s}]}", func(p *load.Plan) any { return fmt.Sprint(p.Open.Phases, p.Open.Segments) },
			"[1/s x] [{0 1 1 1s} {1 2 2 2s}]"},
		{"bursts end the periods, the last is cut", "for: 12s\nload: {burst: {rate: 1, to: 9, every: 5s, length: 1s}}", func(p *load.Plan) any { return p.Open.Segments },
			[]load.Segment{{Phase: 0, From: 1, To: 1, For: 4 * s}, {Phase: 1, From: 9, To: 9, For: s}, {Phase: 0, From: 1, To: 1, For: 4 * s}, {Phase: 1, From: 9, To: 9, For: s}, {Phase: 0, From: 1, To: 1, For: 2 * s}}},
		{"a search", "load: {knee: {from: 5, p99: 1ms}}", func(p *load.Plan) any { return *p.Knee },
			load.Knee{From: 5, Factor: 1.5, Step: 5 * s, LimitP99: time.Millisecond, Precision: 0.05}},
		{"a run has a name that nobody else has", "", func(p *load.Plan) any { return len(p.Run) }, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.got(mustPlan(t, tc.text)); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestSizesFollowTheirDistribution(t *testing.T) {
	uniform := mustPlan(t, "events: {uniform: {min: 200B, max: 1000B}}").Events.Sizes
	sum := 0
	for _, n := range uniform {
		if sum += n; n < 200 || n > 1000 {
			t.Errorf("%d is none", n)
		}
	}
	if mean := sum / len(uniform); mean < 595 || mean > 605 {
		t.Errorf("the mean is %d", mean)
	}
	sizes := mustPlan(t, "events: {lognormal: {p50: 500B, p99: 4kB}}").Events.Sizes
	above := func(n int) (share float64) {
		for _, v := range sizes {
			if v > n {
				share += 1 / float64(len(sizes))
			}
		}
		return share
	}
	if math.Abs(above(500)-0.5) > 0.01 || math.Abs(above(4000)-0.01) > 0.002 {
		t.Errorf("%.3f are above 500 B, %.3f above 4 kB", above(500), above(4000))
	}
}

func TestArrivals(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []time.Duration
		err        string
	}{
		{"seconds and units", "# recorded\n0\n0.5\n\n750ms\n1s\n1s\n", []time.Duration{0, time.Second / 2, 750 * time.Millisecond, time.Second, time.Second}, ""},
		{"they ascend", "1\n0.5\n", nil, ":2: earlier than the line before it"},
		{"nonsense", "1\nx\n", nil, `:2: want seconds, or a time such as 250ms, got "x"`},
		{"negative", "-1\n", nil, ":1: want seconds from 0"},
		{"nothing", "\n", nil, "holds no times"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "arrivals")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readArrivals(path)
			if !reflect.DeepEqual(got, tc.want) || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestRecords(t *testing.T) {
	text := `{"user":"a","x":{"id":1},"id":7}` + "\n\n" + ` {"id" : "1" , "user":12 } ` + "\n"
	var zipped, packed bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(text))
	z.Close()
	e, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	e.Write([]byte(text))
	e.Close()
	for name, data := range map[string]string{"plain": text, "gzip": zipped.String(), "zstd": packed.String()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events")
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			whole, err := readRecords(path, false)
			if err != nil || len(whole) != 2 || string(whole[1].Whole) != `{"id" : "1" , "user":12 }` {
				t.Errorf("got %+v, %v", whole, err)
			}
			parts, err := readRecords(path, true)
			if err != nil || len(parts) != 2 {
				t.Fatalf("got %+v, %v", parts, err)
			}
			var got []string
			for _, r := range parts {
				got = append(got, fmt.Sprintf("%s|%s|%s %v", r.Head, r.Middle, r.Tail, r.UserFirst))
			}
			want := []string{`{"user":|,"x":{"id":1},"id":|} true`, `{"id" : | , "user":| } false`}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestRecordsThatCannotBeSent(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		rewrite    bool
		want       string
	}{
		{"no JSON", "{}\n{\n", false, ":2: not JSON"},
		{"no object", "[]\n", true, ":1: not a JSON object"},
		{"no id", `{"user":"a"}`, true, "lacks one"},
		{"nothing", "\n\n", false, "it holds no events"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := readRecords(path, tc.rewrite); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
