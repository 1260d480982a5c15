package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPatienceLastsAtLeastTheTimeout: requests of one tick end together, none of
// them early, and the first not more than a tick late.
func TestPatienceLastsAtLeastTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(640 * time.Millisecond) // ticks of 10 ms
		began := time.Now()
		first := p.begin()
		time.Sleep(9 * time.Millisecond)
		if p.begin() != first {
			t.Error("two requests of one tick have a channel each")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		second := p.begin()
		if second == first {
			t.Error("a request of the next tick ends with those of the last")
		}
		<-first
		if waited := time.Since(began); waited != 650*time.Millisecond {
			t.Errorf("the first waited %v, want the timeout and a tick", waited)
		}
		select {
		case <-second:
			t.Error("the second ended with the first")
		default:
		}
		<-second
		if len(p.live) != 0 {
			t.Errorf("%d waits are kept that are over", len(p.live))
		}
	})
}

func TestTheEndOfPatienceEndsEveryWait(t *testing.T) {
	p := newPatience(time.Hour)
	before := p.begin()
	p.end()
	<-before
	<-p.begin()
}
