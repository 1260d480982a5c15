package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// A wire is one connection to the target, or none while it is down. It belongs to
// one goroutine, cut aside.
type wire struct {
	target *Target
	in     inbox

	mu     sync.Mutex // of conn, for cut
	conn   net.Conn
	closed bool // for good

	// Of a plain connection: the request is written and the answer read within
	// one wait of the runtime's poller (see step).
	raw  syscall.RawConn
	step func(fd uintptr) bool
	out  []byte
	sent int
	read int
	err  error
}

func newWire(t *Target) *wire {
	w := &wire{target: t, in: newInbox()}
	w.step = w.exchange
	return w
}

// dial connects.
func (w *wire) dial(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", w.target.Address)
	if err != nil {
		return err
	}
	w.raw = nil
	if w.target.TLS != nil {
		secure := tls.Client(conn, w.target.TLS)
		shake, cancel := context.WithTimeout(ctx, dialer.Timeout)
		defer cancel()
		if err := secure.HandshakeContext(shake); err != nil {
			conn.Close()
			return err
		}
		conn = secure
	} else if tcp, ok := conn.(*net.TCPConn); ok && stepwise {
		if w.raw, err = tcp.SyscallConn(); err != nil {
			conn.Close()
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		conn.Close()
		return net.ErrClosed
	}
	w.conn = conn
	w.in.r, w.in.w = 0, 0
	return nil
}

func (w *wire) up() bool { return w.conn != nil }

// down closes the connection.
func (w *wire) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// cut ends whatever the connection's goroutine is waiting for with an error. Any
// goroutine may call it. With forever set there will be no other connection.
func (w *wire) cut(forever bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = w.closed || forever
	if w.conn != nil {
		w.conn.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // of an open connection
	}
}

// roundTrip sends a request and reads the answer.
func (w *wire) roundTrip(out []byte, a *answer) error {
	if w.raw == nil {
		if _, err := w.conn.Write(out); err != nil {
			return err
		}
		return w.in.read(w.conn, a)
	}
	w.out, w.sent, w.read, w.err = out, 0, 0, nil
	if err := w.raw.Read(w.step); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	if w.sent < len(out) {
		if _, err := w.conn.Write(out[w.sent:]); err != nil {
			return err
		}
	}
	w.in.w += w.read
	return w.in.read(w.conn, a)
}

// unheard reports whether err is that the other side had closed the connection
// before it said anything.
func (w *wire) unheard(err error) bool {
	closed := err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return closed && w.in.r == w.in.w
}
