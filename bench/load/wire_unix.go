//go:build unix

package load

import (
	"io"
	"syscall"
)

// stepwise says that step works here.
const stepwise = true

// exchange is what syscall.RawConn's Read calls until it returns true. The first
// call sends the request and asks to be called again when there is something to
// read: a plain Write and Read would try to read first, in vain, which is a
// system call a request more. Nothing can be missed in between, because the poller
// was told to note what comes before the first call.
func (w *wire) exchange(fd uintptr) bool {
	if w.sent == 0 {
		n, err := ignoringInterrupts(syscall.Write, int(fd), w.out)
		switch {
		case err == syscall.EAGAIN:
			return true // the rest is written as usual
		case err != nil:
			w.err = err
			return true
		}
		w.sent = n
		return n < len(w.out)
	}
	n, err := ignoringInterrupts(syscall.Read, int(fd), w.in.free())
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		w.err = err
	case n == 0:
		w.err = io.EOF
	default:
		w.read = n
	}
	return true
}

func ignoringInterrupts(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		if n, err := call(fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}
