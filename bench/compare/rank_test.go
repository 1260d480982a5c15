package compare

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestCut holds it against the critical values that tables of the U test print: U
// is significant at 0.05, two-sided, up to one below the cut.
func TestCut(t *testing.T) {
	for _, tc := range []struct{ a, b, critical int }{
		{4, 4, 0}, {3, 5, 0}, {5, 5, 2}, {5, 6, 3}, {6, 6, 5}, {8, 8, 13}, {10, 10, 23}, {8, 2, 0}, {20, 20, 127},
	} {
		if got := cut(tc.a, tc.b, 0.05); got != tc.critical+1 {
			t.Errorf("%d and %d runs: cut %d, want %d", tc.a, tc.b, got, tc.critical+1)
		}
	}
}

// TestMannWhitneyAgainstCounting deals the ranks in every way there is.
func TestMannWhitneyAgainstCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(1, 9).Draw(t, "value")) }) // ties
		a, b := rapid.SliceOfN(value, 1, 5).Draw(t, "a"), rapid.SliceOfN(value, 1, 5).Draw(t, "b")
		if got, want := mannWhitney(a, b), counted(a, b); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v and %v: p %v, want %v", a, b, got, want)
		}
		if got, want := mannWhitney(b, a), mannWhitney(a, b); math.Abs(got-want) > 1e-12 {
			t.Fatalf("p is %v the other way about, and %v", got, want)
		}
	})
}

// counted is p by the definition of U: wins, and halves for ties.
func counted(a, b []float64) float64 {
	all := slices.Concat(a, b)
	distance := func(chosen uint) float64 {
		u := 0.0
		for i, x := range all {
			for j, y := range all {
				if chosen>>i&1 == 1 && chosen>>j&1 == 0 {
					switch {
					case x > y:
						u++
					case x == y:
						u += 0.5
					}
				}
			}
		}
		return math.Abs(u - float64(len(a)*len(b))/2)
	}
	have := distance(1<<len(a) - 1)
	as, ways := 0, 0
	for chosen := range uint(1) << len(all) {
		if bits.OnesCount(chosen) == len(a) {
			ways++
			if distance(chosen) >= have-1e-9 {
				as++
			}
		}
	}
	return float64(as) / float64(ways)
}

func TestMannWhitney(t *testing.T) {
	for _, tc := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"five above five is as sure as five and five can be", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"the same runs do not differ", []float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{"equal figures do not differ", []float64{7, 7, 7, 7}, []float64{7, 7, 7, 7}, 1},
		{"one run each says nothing", []float64{1}, []float64{9}, 1},
	} {
		if got := mannWhitney(tc.a, tc.b); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	for _, n := range []int{1, 2, 3, 4, 5} {
		var a, b []float64
		for i := range n {
			a, b = append(a, float64(i)), append(b, float64(i+100))
		}
		if got, want := mannWhitney(a, b), least(n, n); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d and %d runs: the least p is %v, said to be %v", n, n, got, want)
		}
	}
}

// TestInterval has four and four runs, where the cut is 1 and nothing is left out,
// and eight that are compared with themselves.
func TestInterval(t *testing.T) {
	low, high := interval([]float64{100, 101, 102, 103}, []float64{110, 112, 114, 116}, 0.05)
	if want := 110.0 / 103; low != want || high != 1.16 {
		t.Errorf("%v to %v, want %v to %v", low, high, want, 1.16)
	}
	a := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	if low, high := interval(a, a, 0.05); low >= 1 || high <= 1 || low*high < 0.999 || low*high > 1.001 {
		t.Errorf("of runs with themselves: %v to %v", low, high)
	}
}

// TestIntervalGoesWithTheTest: it leaves 1 out exactly when the test says that the
// sets differ, where there are no ties.
func TestIntervalGoesWithTheTest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfNDistinct(rapid.IntRange(1, 1000), 8, 14, rapid.ID).Draw(t, "figures")
		n := rapid.IntRange(4, len(all)-4).Draw(t, "of a")
		var a, b []float64
		for i, v := range all {
			if i < n {
				a = append(a, float64(v))
			} else {
				b = append(b, float64(v))
			}
		}
		low, high := interval(a, b, 0.05)
		if differ := mannWhitney(a, b) <= 0.05; differ != (low > 1 || high < 1) {
			t.Fatalf("%v and %v: the test says %v, the interval is %v to %v", a, b, differ, low, high)
		}
	})
}
