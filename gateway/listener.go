package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// The life of a connection, as far as a shutdown cares.
const (
	quiet  int32 = iota // nothing of a request has arrived
	active              // a request is being read, handled or answered
)

const (
	lingerTime   = 5 * time.Second // a refused client has to read its answer
	lingerIdle   = time.Second     // of which nothing may arrive for so long
	lingerBuffer = 16 << 10
	maxRejecting = 64 // connections beyond the limit that are being told so
)

// listener accepts connections up to a limit, knows them all, and survives
// what is not its end: without file descriptors it waits, where fasthttp would
// stop serving.
type listener struct {
	net.Listener
	log      *slog.Logger
	max      int
	drain    int64  // bytes that a refused client may still send
	overload []byte // the whole answer to a connection beyond the limit; nil: it is just closed
	observe  func() // told of each of them

	stop      chan struct{} // closed by Close
	rejecting chan struct{} // one element per connection that is being told

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
}

func newListener(ln net.Listener, opts *Options, overload []byte) *listener {
	observe := func() {}
	if opts.Observe != nil {
		observe = func() { opts.Observe("", fasthttp.StatusServiceUnavailable, 0, 0) }
	}
	return &listener{Listener: ln, log: opts.Log, max: opts.MaxConns, drain: 2*int64(opts.Limits.MaxBody) + 1<<20,
		overload: overload, observe: observe, stop: make(chan struct{}), rejecting: make(chan struct{}, maxRejecting),
		conns: make(map[*conn]struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	wait := 5 * time.Millisecond
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			if !passing(err) {
				return nil, err
			}
			l.log.Warn("cannot accept a connection; trying again", "error", err, "in", wait)
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-l.stop:
				timer.Stop()
				return nil, net.ErrClosed
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		c := &conn{Conn: newSocket(raw), l: l}
		switch l.add(c) {
		case admitted:
			return c, nil
		case closing:
			_ = raw.Close()
			return nil, net.ErrClosed
		case full:
			l.reject(raw)
		}
	}
}

// passing reports whether another Accept may succeed.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

type admission int

const (
	admitted admission = iota
	full
	closing
)

func (l *listener) add(c *conn) admission {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return closing
	case len(l.conns) >= l.max:
		return full
	}
	l.conns[c] = struct{}{}
	return admitted
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// reject tells a connection beyond the limit so, without making the next one
// wait: in a goroutine that lives a second at most, and there are only so many.
func (l *listener) reject(raw net.Conn) {
	l.observe()
	select {
	case l.rejecting <- struct{}{}:
	default:
		_ = raw.Close()
		return
	}
	go func() {
		defer func() { <-l.rejecting }()
		if l.overload != nil {
			_ = raw.SetDeadline(time.Now().Add(time.Second))
			if _, err := raw.Write(l.overload); err == nil {
				lingerOn(raw, 64<<10, time.Second, time.Second)
			}
		}
		_ = raw.Close()
	}()
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.stop)
		return l.Listener.Close()
	}
	return nil
}

// closeQuiet closes the connections on which no request is under way.
func (l *listener) closeQuiet() {
	for _, c := range l.all() {
		if c.state.Load() == quiet {
			_ = c.Conn.Close()
		}
	}
}

// closeAll closes every connection at once, whatever is under way.
func (l *listener) closeAll() {
	for _, c := range l.all() {
		_ = c.Conn.Close()
	}
}

func (l *listener) all() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	return conns
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// wait returns when no connection is left, or when ctx is over: a shutdown has
// nothing better to do than to look.
func (l *listener) wait(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if l.count()+len(l.rejecting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// conn is one accepted connection. Its reads come from one goroutine at a
// time, that of the server.
type conn struct {
	net.Conn
	l     *listener
	state atomic.Int32

	// Of the reads so far: the bytes since the last read that had a line end in
	// it (of no meaning under TLS), and whether the last one ran out of time.
	unbroken int
	late     bool

	refused atomic.Bool // an answer went out while the client was still sending
	once    sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if bytes.IndexByte(p[:n], '\n') >= 0 {
		c.unbroken = 0
	} else {
		c.unbroken += n
	}
	c.late = errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// Close implements net.Conn. A client that was refused while it was sending
// gets the time to read why: closing with unread bytes makes the kernel reset
// the connection, and the answer is lost with it (RFC 9112, section 9.6).
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		if c.refused.Load() {
			lingerOn(c.Conn, c.l.drain, lingerIdle, lingerTime)
		}
		err = c.Conn.Close()
		c.l.remove(c)
	})
	return err
}

// lingerOn closes the sending side and reads what still comes, at most most
// bytes, with no pause longer than idle, for total altogether.
func lingerOn(c net.Conn, most int64, idle, total time.Duration) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	end := time.Now().Add(total)
	buf := lingerBuffers.Get().(*[]byte)
	defer lingerBuffers.Put(buf)
	for most > 0 {
		by := time.Now().Add(idle)
		if by.After(end) {
			by = end
		}
		if c.SetReadDeadline(by) != nil {
			return
		}
		n, err := c.Read(*buf)
		if most -= int64(n); err != nil {
			return
		}
	}
}

var lingerBuffers = sync.Pool{New: func() any { b := make([]byte, lingerBuffer); return &b }}

// underlying returns the conn below c, nil when it is of another listener.
func underlying(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// late reports whether the last read of the request's connection timed out.
func late(ctx *fasthttp.RequestCtx) bool {
	c := underlying(ctx.Conn())
	return c != nil && c.late
}

// watch keeps conn.state; it is fasthttp's ConnState hook.
func watch(nc net.Conn, state fasthttp.ConnState) {
	c := underlying(nc)
	if c == nil {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.state.Store(active)
	case fasthttp.StateIdle:
		c.state.Store(quiet)
	}
}
