//go:build !race

package gateway

import (
	"errors"
	"io"
	"net"
	"syscall"
	"unsafe"
)

// socket is a TCP connection whose reads and writes go to the kernel without the
// scheduler being told. The descriptor does not block, so a call takes microseconds,
// and telling of it costs more than it gains: the scheduler's monitor takes the
// processor away from calls that last a tick of its own, and wakes a thread for it
// (ADR 12). Waiting is the network poller's, as ever: deadlines and Close work.
//
// One goroutine reads and one writes at a time.
type socket struct {
	*net.TCPConn
	raw           syscall.RawConn
	in, out       transfer
	receive, send func(fd uintptr) bool // in.do and out.do
}

// transfer is one read or write under way.
type transfer struct {
	call  uintptr // SYS_READ or SYS_WRITE
	p     []byte
	n     int
	errno syscall.Errno
}

// newSocket returns c as a socket if it is one of TCP, or else c.
func newSocket(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	s := &socket{TCPConn: tcp, raw: raw}
	s.in.call, s.out.call = syscall.SYS_READ, syscall.SYS_WRITE
	s.receive, s.send = s.in.do, s.out.do
	return s
}

// do makes the call and reports whether there is an outcome; there is none while
// the descriptor is not ready.
func (t *transfer) do(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(t.call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.p))), uintptr(len(t.p)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			t.n = int(n)
		}
		t.errno = errno
		return true
	}
}

// end returns the outcome, and lets go of the caller's memory.
func (t *transfer) end(waiting error) (int, error) {
	n, errno := t.n, t.errno
	t.p, t.n, t.errno = nil, 0, 0
	switch {
	case waiting != nil:
		return 0, waiting
	case errno != 0:
		return 0, errno
	}
	return n, nil
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.in.p = p
	n, err := s.in.end(s.raw.Read(s.receive))
	switch {
	case err != nil:
		return 0, s.failed("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	for done := 0; ; {
		if done == len(p) {
			return done, nil
		}
		s.out.p = p[done:]
		n, err := s.out.end(s.raw.Write(s.send))
		if err != nil {
			return done, s.failed("write", err)
		}
		done += n
	}
}

// failed returns err as a net.Conn does, in place of how a RawConn says it.
func (s *socket) failed(op string, err error) error {
	var raw *net.OpError
	if errors.As(err, &raw) {
		err = raw.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}
