package load

import (
	"math"
	"math/rand/v2"
)

// A picker picks users. It is read only after newPicker: connections share one.
//
// A distribution that is not uniform is picked from by Vose's alias method: one
// random number, one look at a table of eight bytes a user.
type picker struct {
	n     uint64
	keep  []float32 // chance that a column stands for its own user
	alias []uint32
}

func newPicker(u Users) *picker {
	p := &picker{n: uint64(u.Count)}
	if u.Zipf == 0 && u.HotUsers == 0 {
		return p
	}
	weights := make([]float64, u.Count)
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -u.Zipf)
	}
	if u.HotUsers > 0 {
		cold := 0.0
		for _, w := range weights[u.HotUsers:] {
			cold += w
		}
		hot := 1.0
		if cold > 0 && u.HotShare < 1 {
			hot = cold * u.HotShare / (1 - u.HotShare)
		} else {
			clear(weights[u.HotUsers:])
		}
		for i := range u.HotUsers {
			weights[i] = hot / float64(u.HotUsers)
		}
	}
	p.fill(weights)
	return p
}

// fill makes the tables. The weights need not sum to anything.
func (p *picker) fill(weights []float64) {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	n := len(weights)
	p.keep, p.alias = make([]float32, n), make([]uint32, n)
	var small, large []uint32
	for i := range weights {
		weights[i] *= float64(n) / sum
		if weights[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		p.keep[s], p.alias[s] = float32(weights[s]), l
		if weights[l] -= 1 - weights[s]; weights[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, rest := range [][]uint32{small, large} { // what rounding left
		for _, i := range rest {
			p.keep[i], p.alias[i] = 1, i
		}
	}
}

func (p *picker) pick(rng *rand.Rand) uint32 {
	i := uint32(rng.Uint64N(p.n))
	if p.keep == nil || rng.Float32() < p.keep[i] {
		return i
	}
	return p.alias[i]
}
