package load

import (
	"math"
	"strings"
	"testing"
	"time"

	"sluice/bench/result"
)

// drain returns all slots of a schedule.
func drain(s schedule) []slot {
	var all []slot
	for {
		x, ok := s.next()
		if !ok {
			return all
		}
		all = append(all, x)
	}
}

func segments(s ...Segment) *Plan {
	p := &Plan{Events: Events{Batch: 1}, Open: &Open{Segments: s}}
	return p
}

func TestSchedule(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name  string
		plan  *Plan
		count int
		at    map[int]time.Duration // when some of them are due
	}{
		{"a rate is even", segments(Segment{From: 100, To: 100, For: s}), 100, map[int]time.Duration{0: 0, 1: s / 100, 99: 99 * s / 100}},
		{"a fraction of a request is not sent", segments(Segment{From: 2.5, To: 2.5, For: s}), 3, map[int]time.Duration{2: 8 * s / 10}},
		{"steps follow each other", segments(Segment{From: 10, To: 10, For: s}, Segment{Phase: 1, From: 20, To: 20, For: s}), 30,
			map[int]time.Duration{10: s, 11: s + s/20}},
		{"a fraction is carried into the next step", segments(Segment{From: 1, To: 1, For: s / 2}, Segment{Phase: 1, From: 1, To: 1, For: s / 2}), 1, nil},
		{"a ramp is its integral", segments(Segment{From: 0, To: 100, For: 2 * s}), 100,
			map[int]time.Duration{25: s, 64: 1600 * time.Millisecond}}, // 25·t² requests after t seconds
		{"a ramp down too", segments(Segment{From: 100, To: 0, For: 2 * s}), 100, map[int]time.Duration{75: s}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := drain(newRates(tc.plan, 1, 0))
			if len(all) != tc.count {
				t.Fatalf("%d requests, want %d", len(all), tc.count)
			}
			for k, want := range tc.at {
				if d := all[k].due - want; d.Abs() > time.Microsecond {
					t.Errorf("request %d is due at %v, want %v", k, all[k].due, want)
				}
			}
			for k := 1; k < len(all); k++ {
				if all[k].due < all[k-1].due || all[k].phase < all[k-1].phase {
					t.Fatalf("request %d is due at %v, in phase %d, after %+v", k, all[k].due, all[k].phase, all[k-1])
				}
			}
		})
	}
}

func TestTheWarmUpHasTheFirstRateAndNoPhase(t *testing.T) {
	p := segments(Segment{From: 10, To: 30, For: time.Second})
	p.Warmup = time.Second
	all := drain(newRates(p, 1, 0))
	if len(all) != 30 || all[9].phase != 0 || all[10].phase != 1 || all[10].due != time.Second {
		t.Errorf("%d: %+v", len(all), all)
	}
}

func TestLanesShareARate(t *testing.T) {
	p := segments(Segment{From: 1000, To: 1000, For: time.Second})
	p.Events.Batch = 10
	small, large := drain(newRates(p, 0.25, 0)), drain(newRates(p, 0.75, 0.5))
	if len(small) != 25 || len(large) != 75 {
		t.Errorf("%d and %d requests", len(small), len(large))
	}
	if small[0].due == large[0].due {
		t.Error("both begin at the same moment")
	}
}

func TestEveryArrivalIsOneTenants(t *testing.T) {
	times := make([]time.Duration, 10_000)
	for i := range times {
		times[i] = time.Duration(i) * time.Millisecond
	}
	var got [3]int
	seen := map[time.Duration]bool{}
	below := 0.0
	for i, share := range []float64{0.1, 0.3, 0.6} {
		for _, s := range drain(&arrivals{times: times, warmup: 5 * time.Second, from: below, to: below + share}) {
			if seen[s.due] {
				t.Fatalf("the one at %v has two senders", s.due)
			}
			if seen[s.due] = true; (s.phase == 1) != (s.due >= 5*time.Second) {
				t.Fatalf("%+v", s)
			}
			got[i]++
		}
		below += share
	}
	if len(seen) != len(times) || got[0] < 990 || got[0] > 1010 || got[1] < 2990 || got[1] > 3010 {
		t.Errorf("%d of %d, shared as %v", len(seen), len(times), got)
	}
}

func TestSearch(t *testing.T) {
	for _, tc := range []struct {
		name         string
		knee         Knee
		holds        func(rate float64, try int) bool
		least, most  float64
		wantsNoAbove bool
	}{
		{"it finds the limit", Knee{From: 100, Factor: 2, Precision: 0.01}, func(r float64, _ int) bool { return r <= 12345 }, 12200, 12345, false},
		{"it goes down when the first rate is too high", Knee{From: 1000, Factor: 2, Precision: 0.05}, func(r float64, _ int) bool { return r <= 77 }, 70, 77, false},
		{"it ends when no rate holds", Knee{From: 1000, Factor: 2, Precision: 0.05}, func(float64, int) bool { return false }, 0, 0, false},
		{"it ends at the highest that it may try", Knee{From: 100, To: 1000, Factor: 2, Precision: 0.05}, func(float64, int) bool { return true }, 1000, 1000, true},
		{"it ends without a bound too", Knee{From: 100, Factor: 1.01, Precision: 0.05}, func(float64, int) bool { return true }, 100, 200, true},
		{"a hiccup is not the limit", Knee{From: 100, Factor: 2, Precision: 0.01}, func(r float64, n int) bool { return r <= 12345 && n%2 == 0 }, 12200, 12345, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, n := newSearch(tc.knee), 0
			for more := true; more; n++ {
				if n > maxSteps {
					t.Fatal("it does not end")
				}
				more = s.told(tc.holds(s.rate, n))
			}
			if s.holds < tc.least || s.holds > tc.most || (s.fails == 0) != tc.wantsNoAbove {
				t.Errorf("%v holds, %v does not", s.holds, s.fails)
			}
		})
	}
}

func TestPicker(t *testing.T) {
	const draws = 200_000
	for _, tc := range []struct {
		name  string
		users Users
		share func(i int) float64 // that user i should have
	}{
		{"uniform", Users{Count: 20}, func(int) float64 { return 1.0 / 20 }},
		{"zipf", Users{Count: 3, Zipf: 1}, func(i int) float64 { return 1 / float64(i+1) / (1 + 1.0/2 + 1.0/3) }},
		{"hot", Users{Count: 10, HotUsers: 2, HotShare: 0.8}, func(i int) float64 {
			if i < 2 {
				return 0.4
			}
			return 0.2 / 8
		}},
		{"only the hot", Users{Count: 10, HotUsers: 1, HotShare: 1}, func(i int) float64 {
			if i == 0 {
				return 1
			}
			return 0
		}},
		{"one user", Users{Count: 1, Zipf: 1.1}, func(int) float64 { return 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, rng := newPicker(tc.users), newWriter(newSource(planFor(t, "http://x", 1), 1), 0, "").rng
			got := make([]int, tc.users.Count)
			for range draws {
				got[p.pick(rng)]++
			}
			for i, n := range got {
				want := tc.share(i) * draws
				if math.Abs(float64(n)-want) > 6*math.Sqrt(want) { // six standard deviations
					t.Errorf("user %d: %d of %d, want %.0f", i, n, draws, want)
				}
			}
		})
	}
}

func TestAStepHolds(t *testing.T) {
	k := &Knee{LimitP99: 50 * time.Millisecond}
	step := func(change func(*result.Run)) *result.Run {
		r := &result.Run{Totals: result.Totals{Sent: 10_000, Accepted: 10_000}, Latency: result.Latency{P99: 50_000}}
		change(r)
		return r
	}
	for _, tc := range []struct {
		name string
		step *result.Run
		held bool
		what string
	}{
		{"at the limit", step(func(*result.Run) {}), true, "p99 50ms"},
		{"not above it", step(func(r *result.Run) { r.Latency.P99++ }), false, "p99 50.001ms"},
		{"with one event in a thousand refused", step(func(r *result.Run) { r.Totals.Refused = map[string]uint64{"429": 10} }), true, "p99 50ms"},
		{"not with more", step(func(r *result.Run) { r.Totals.Refused = map[string]uint64{"429": 10}; r.Totals.Unknown = 1 }), false, "11 of 10000"},
		{"not when it was not sent", step(func(r *result.Run) { r.Totals.Unsent = 100 }), false, "100 of 10100"},
		{"and says when the generator was late", step(func(r *result.Run) { r.Generator.LateP99 = 5000 }), true, "generator late by 5ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if held, what := k.held(tc.step); held != tc.held || !strings.Contains(what, tc.what) {
				t.Errorf("got %v, %q", held, what)
			}
		})
	}
}
