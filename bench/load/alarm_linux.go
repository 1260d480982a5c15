package load

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm wakes one goroutine at a time that others may bring forward. It is a
// timerfd: the runtime's own timers, while nothing else goes on, are only good to
// a millisecond, which is more than many a latency that is measured here.
type alarm struct {
	file  *os.File
	fd    int
	buf   [8]byte
	ended atomic.Bool
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &alarm{file: os.NewFile(uintptr(fd), "timer"), fd: fd}, nil
}

// set makes the alarm go off after d, and not at the time it was set to before.
func (a *alarm) set(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(d, 1).Nanoseconds())}
	unix.TimerfdSettime(a.fd, 0, &spec, nil) //nolint:errcheck // of a timer that exists, to a time that is valid
}

// wait returns true when the alarm has gone off, false when it has been ended.
func (a *alarm) wait() bool {
	_, err := a.file.Read(a.buf[:])
	return err == nil && !a.ended.Load()
}

// end makes wait return false, now and later.
func (a *alarm) end() {
	a.ended.Store(true)
	a.set(1)
}

// close frees the alarm; nobody may wait or set any more.
func (a *alarm) close() { a.file.Close() }
