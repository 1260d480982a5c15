package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/result"
)

// spike is a run as the load generator makes one: a minute of three phases, two
// tenants, the middle phase more than the server takes. It is the same every time.
func spike(t testing.TB) *result.Run {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	r := &result.Run{
		Version: result.Version, Scenario: "spike", About: "Twenty seconds of three times the usual rate.",
		Target: "http://127.0.0.1:8080", Started: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Seconds: 60, Warmup: 5, Seed: 42,
		Machine:   result.Machine{Cores: 8, CPU: "Example CPU", OS: "linux/amd64", Go: "go1.26.0", Version: "v0.4.0", Load1: 0.4},
		Load:      result.Load{Loop: "open", Connections: 64, Format: "ndjson", Batch: 100, EventBytes: 512, Users: 10_000, Ack: "stored"},
		Server:    &result.Server{CPUSeconds: 74, CPUPerEvent: 21.4, RSSMax: 141 << 20, GoroutinesMax: 412, FilesMax: 97, CreditShareMax: 1},
		Generator: result.Generator{CPUSeconds: 21, CPUPerEvent: 4.1, RSSMax: 48 << 20, LateP99: 310, Limit: 512_000},
		Verified:  &result.Verified{Sink: "kafka", Found: 3_452_000, Unasked: 2, Examples: []string{"9f2c-3-117 of u81: stored, and its outcome was unknown"}},
	}
	whole := hdrhistogram.New(1, 3_600_000_000, 3)
	tenants := map[string]*hdrhistogram.Histogram{"acme": hdrhistogram.New(1, 3_600_000_000, 3), "noisy": hdrhistogram.New(1, 3_600_000_000, 3)}
	r.Totals.Refused = map[string]uint64{}
	for _, p := range []struct {
		name           string
		from, to       int
		offered, takes float64
		median         float64 // µs
	}{{"before", 0, 20, 40_000, 40_000, 1_400}, {"spike", 20, 40, 120_000, 92_600, 42_000}, {"after", 40, 60, 40_000, 40_000, 1_700}} {
		h := hdrhistogram.New(1, 3_600_000_000, 3)
		phase := result.Phase{Name: p.name, From: float64(p.from), Seconds: float64(p.to - p.from), Offered: p.offered}
		phase.Totals.Refused = map[string]uint64{}
		for at := p.from; at < p.to; at++ {
			s := second(rnd, at, p.offered, p.takes, p.median, h, whole, tenants)
			r.Series = append(r.Series, s)
			add(&phase.Totals, s)
			add(&r.Totals, s)
		}
		phase.Latency = latency(t, h)
		finish(&phase.Totals, phase.Seconds)
		r.Phases = append(r.Phases, phase)
	}
	finish(&r.Totals, r.Seconds)
	r.Latency = latency(t, whole)
	for _, name := range []string{"acme", "noisy"} {
		r.Tenants = append(r.Tenants, result.Tenant{Name: name, Totals: r.Totals, Latency: latency(t, tenants[name])})
	}
	return r
}

func second(rnd *rand.Rand, at int, offered, takes, median float64, h, whole *hdrhistogram.Histogram, tenants map[string]*hdrhistogram.Histogram) result.Sample {
	now := hdrhistogram.New(1, 3_600_000_000, 3)
	for i := range 400 {
		us := int64(median * math.Exp(0.5*rnd.NormFloat64()))
		if rnd.IntN(300) == 0 {
			us *= 6
		}
		for _, into := range []*hdrhistogram.Histogram{now, h, whole, tenants[[]string{"acme", "noisy"}[i%2]]} {
			into.RecordValue(us * int64(1+i%2*int(offered/100_000)))
		}
	}
	jitter := math.Round(400 * rnd.NormFloat64())
	s := result.Sample{
		At: float64(at), Sent: offered, Accepted: math.Min(offered, takes+jitter), P50: now.ValueAtPercentile(50), P99: now.ValueAtPercentile(99), Max: now.Max(),
		ServerCPU: 0.8 + takes/60_000 + 0.1*rnd.Float64(), ServerRSS: uint64(90+at/3+int(takes/3000)) << 20,
		CreditShare: math.Min(1, takes/95_000*(0.9+0.15*rnd.Float64())),
		Mailboxes: map[string]float64{"parser": float64(rnd.IntN(4)), "validator": float64(rnd.IntN(3)), "users": float64(rnd.IntN(20)),
			"batcher": math.Round(takes / 4000 * rnd.Float64()), "writer": math.Round(takes / 900 * rnd.Float64())},
	}
	s.Refused = s.Sent - s.Accepted
	return s
}

func add(t *result.Totals, s result.Sample) {
	t.Sent += uint64(s.Sent)
	t.Requests += uint64(s.Sent / 100)
	t.Accepted += uint64(s.Accepted)
	t.Refused["429 no_credits"] += uint64(s.Refused)
	t.Bytes += uint64(s.Sent * 512)
}

func finish(t *result.Totals, seconds float64) {
	t.Accepted -= 300
	t.Unknown = 300
	t.EventsPerS = float64(t.Accepted) / seconds
	t.BytesPerS = float64(t.Bytes) / seconds
}

func latency(t testing.TB, h *hdrhistogram.Histogram) result.Latency {
	t.Helper()
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return result.Latency{Count: uint64(h.TotalCount()), Mean: h.Mean(), Min: h.Min(), P50: h.ValueAtPercentile(50), P90: h.ValueAtPercentile(90),
		P99: h.ValueAtPercentile(99), P999: h.ValueAtPercentile(99.9), P9999: h.ValueAtPercentile(99.99), Max: h.Max(), Histogram: string(text)}
}

// smoke is the least a run can be: closed loop, nobody watched, nothing read back.
func smoke() *result.Run {
	return &result.Run{
		Version: result.Version, Scenario: "smoke", Target: "http://127.0.0.1:8080", Started: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Seconds: 2,
		Machine: result.Machine{Cores: 2, OS: "linux/arm64", Go: "go1.26.0", Version: "v0.4.0"},
		Load:    result.Load{Loop: "closed", Connections: 1, Format: "single", Batch: 1, EventBytes: 200, Users: 1},
	}
}
