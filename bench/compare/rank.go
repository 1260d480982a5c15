package compare

import "slices"

// mannWhitney returns the two-sided p of the Mann-Whitney U test: how often two
// sets that do not differ would be ranked as differently as a and b, or more. It
// is exact, also with ties, which have their mean rank: of all ways to deal the
// ranks it counts those whose sum is as far from the middle. (Mann and Whitney,
// Annals of Mathematical Statistics 18, 1947.)
func mannWhitney(a, b []float64) float64 {
	ranks := doubleRanks(slices.Concat(a, b))
	sum, total := 0, 0
	for i, r := range ranks {
		total += r
		if i < len(a) {
			sum += r
		}
	}
	// ways[k][s]: so many of the choices of k ranks have the sum s.
	ways := make([][]float64, len(a)+1)
	for k := range ways {
		ways[k] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for i, r := range ranks {
		for k := min(i+1, len(a)); k > 0; k-- {
			for s := total; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	// Twice over: the middle is total*len(a)/len(ranks), which may not be whole.
	n := len(ranks)
	far := abs(sum*n - total*len(a))
	as, all := 0.0, 0.0
	for s, w := range ways[len(a)] {
		all += w
		if abs(s*n-total*len(a)) >= far {
			as += w
		}
	}
	return as / all
}

// doubleRanks returns twice the rank of each value, from 2 on: ties share the mean.
func doubleRanks(values []float64) []int {
	sorted := slices.Sorted(slices.Values(values))
	ranks := make([]int, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last+1 < len(sorted) && sorted[last+1] == v {
			last++
		}
		ranks[i] = first + last + 2
	}
	return ranks
}

// least is the smallest p that so many runs can come to: with all of one set above
// all of the other.
func least(a, b int) float64 { return min(1, 2/choose(a+b, a)) }

func choose(n, k int) float64 {
	c := 1.0
	for i := range k {
		c = c * float64(n-i) / float64(i+1)
	}
	return c
}

// interval returns the bounds of b/a at confidence 1-alpha that belong to the test
// (Hodges and Lehmann): of all ratios of a run of b to one of a, sorted, those so
// far from the ends that the test would call anything beyond them different. There
// have to be enough runs for that: least(len(a), len(b)) <= alpha.
func interval(a, b []float64, alpha float64) (low, high float64) {
	var ratios []float64
	for _, x := range a {
		for _, y := range b {
			ratios = append(ratios, y/x)
		}
	}
	slices.Sort(ratios)
	k := cut(len(a), len(b), alpha)
	return ratios[k-1], ratios[len(ratios)-k]
}

// cut is the largest k with P(U < k) <= alpha/2, of the U of sets that do not
// differ.
func cut(a, b int, alpha float64) int {
	// ways[i][u]: so many orders of i runs of a and the first j of b have that U. The
	// highest of them is b's, and adds nothing, or a's, and is above all j.
	ways := make([][]float64, a+1)
	for i := range ways {
		ways[i] = make([]float64, a*b+1)
		ways[i][0] = 1
	}
	for j := 1; j <= b; j++ {
		for i := 1; i <= a; i++ {
			for u := j; u <= a*b; u++ {
				ways[i][u] += ways[i-1][u-j]
			}
		}
	}
	all, below := choose(a+b, a), 0.0
	for k, w := range ways[a] {
		if below += w; below/all > alpha/2 {
			return k
		}
	}
	return a * b
}

// median returns that of at least one value.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func abs(x int) int { return max(x, -x) }
