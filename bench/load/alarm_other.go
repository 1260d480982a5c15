//go:build !linux

package load

import "time"

// An alarm wakes one goroutine at a time that others may bring forward.
type alarm struct {
	timer *time.Timer
	stop  chan struct{}
}

func newAlarm() (*alarm, error) {
	return &alarm{timer: time.NewTimer(time.Hour), stop: make(chan struct{})}, nil
}

// set makes the alarm go off after d, and not at the time it was set to before.
func (a *alarm) set(d time.Duration) { a.timer.Reset(d) }

// wait returns true when the alarm has gone off, false when it has been ended.
func (a *alarm) wait() bool {
	select {
	case <-a.timer.C:
		return true
	case <-a.stop:
		return false
	}
}

// end makes wait return false, now and later.
func (a *alarm) end() { close(a.stop) }

// close frees the alarm; nobody may wait or set any more.
func (a *alarm) close() { a.timer.Stop() }
