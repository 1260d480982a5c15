package load

import (
	"math"
	"time"
)

// A slot is one request that is due.
type slot struct {
	due   time.Duration // since the start, warm-up included
	phase int           // 0 is the warm-up, i+1 the i-th phase of the plan
}

// A schedule yields slots in the order of their times. Two of the same plan yield
// the same.
type schedule interface {
	next() (slot, bool)
}

// rates is a schedule of segments: request number k is due when the integral of
// the rate over time reaches k.
type rates struct {
	segments []Segment // rates in requests a second; phase -1 is the warm-up
	offset   float64   // of the first request, in requests

	at     int           // the segment under way
	began  time.Duration // when it did
	before float64       // requests before it
	k      uint64
}

// newRates makes the schedule of one lane, whose share of the rate is share; of
// several lanes with the same rate, offset (0 to 1) keeps them from sending all at
// the same moment.
func newRates(p *Plan, share, offset float64) *rates {
	scale := share / float64(p.Events.Batch)
	r := &rates{offset: offset}
	if p.Warmup > 0 && len(p.Open.Segments) > 0 {
		first := p.Open.Segments[0].From * scale
		r.segments = append(r.segments, Segment{Phase: -1, From: first, To: first, For: p.Warmup})
	}
	for _, s := range p.Open.Segments {
		s.From, s.To = s.From*scale, s.To*scale
		r.segments = append(r.segments, s)
	}
	return r
}

func (r *rates) next() (slot, bool) {
	for r.at < len(r.segments) {
		s := &r.segments[r.at]
		seconds := s.For.Seconds()
		total := (s.From + s.To) / 2 * seconds
		if c := float64(r.k) + r.offset - r.before; c < total {
			r.k++
			// c = From·t + (To-From)/(2·seconds)·t², solved for t without
			// subtracting numbers that are nearly the same.
			a := (s.To - s.From) / (2 * seconds)
			t := 0.0
			if c > 0 {
				t = 2 * c / (s.From + math.Sqrt(max(0, s.From*s.From+4*a*c)))
			}
			due := r.began + time.Duration(t*float64(time.Second))
			return slot{due, s.Phase + 1}, true
		}
		r.before += total
		r.began += s.For
		r.at++
	}
	return slot{}, false
}

// arrivals is a recorded schedule. Of several lanes each takes its share of it.
type arrivals struct {
	times  []time.Duration
	warmup time.Duration
	from   float64 // of 0 to 1: the part of the arrivals that is this lane's
	to     float64
	at     int
}

func (a *arrivals) next() (slot, bool) {
	for a.at < len(a.times) {
		i := a.at
		a.at++
		// The golden ratio's multiples spread evenly, so every stretch of the
		// arrivals is shared as the whole is.
		if _, f := math.Modf(float64(i) * 0.6180339887498949); f < a.from || f >= a.to {
			continue
		}
		s := slot{due: a.times[i]}
		if s.due >= a.warmup {
			s.phase = 1
		}
		return s, true
	}
	return slot{}, false
}

// limited ends a schedule after left requests.
type limited struct {
	schedule
	left uint64
}

func (l *limited) next() (slot, bool) {
	if l.left == 0 {
		return slot{}, false
	}
	l.left--
	return l.schedule.next()
}

// length returns how long the plan sends, warm-up included.
func (p *Plan) length() time.Duration {
	if p.Open == nil {
		return p.Warmup + p.For
	}
	n := p.Warmup
	for _, s := range p.Open.Segments {
		n += s.For
	}
	if k := len(p.Open.Arrivals); k > 0 {
		n = p.Open.Arrivals[k-1] + time.Millisecond
		if p.For > 0 {
			n = min(n, p.Warmup+p.For)
		}
	}
	return n
}
