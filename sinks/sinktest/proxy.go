package sinktest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a sink and the addresses of its other side, and breaks
// the connections that go through it. It starts Restored, and is closed when
// the test is over.
//
//	open ──Cut──▶ cut        connections are reset, new ones too
//	     ──Stall─▶ stalled   connections stay, no byte moves in either direction
//	     ──Mute──▶ muted     requests pass, answers are thrown away
//	     ──CutAfter(n)──▶ limited ──n bytes──▶ cut
//	any  ──Restore──▶ open   stalled bytes go on; a connection whose answers
//	                         were thrown away is reset
type Proxy struct {
	addrs map[string]string // target → the proxy's address for it
	first string
	wg    sync.WaitGroup

	mu      sync.Mutex
	mode    mode
	left    int           // limited: bytes that may still go to the other side
	changed chan struct{} // closed, and replaced, when mode changes
	links   map[*link]struct{}
}

type mode int

const (
	open mode = iota
	cut
	stalled
	muted
	limited
)

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	gone           chan struct{}
	close          func() // resets both sides; may be called often
	lossy          bool   // answers were thrown away; guarded by Proxy.mu
}

// NewProxy starts a proxy in front of the targets, each a host:port.
func NewProxy(t testing.TB, targets ...string) *Proxy {
	t.Helper()
	p := &Proxy{
		addrs: map[string]string{}, first: targets[0],
		changed: make(chan struct{}), links: map[*link]struct{}{},
	}
	var listeners []net.Listener
	for _, target := range targets {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("proxy: %v", err)
		}
		listeners = append(listeners, l)
		p.addrs[target] = l.Addr().String()
		p.wg.Go(func() { p.accept(l, target) })
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close()
		}
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Addr is the proxy's address in front of the first target.
func (p *Proxy) Addr() string { return p.addrs[p.first] }

// Dial connects to addr, through the proxy where addr is one of the targets:
// for drivers that learn the addresses of the other side from the other side.
func (p *Proxy) Dial(network, addr string) (net.Conn, error) {
	return p.DialContext(context.Background(), network, addr)
}

// DialContext is Dial with a context.
func (p *Proxy) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if through, ok := p.addrs[addr]; ok {
		addr = through
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// Faults are the proxy's as a Place has them.
func (p *Proxy) Faults() Faults {
	return Faults{
		Gone:     func(*testing.T) { p.Cut() },
		Mute:     func(*testing.T) { p.Mute() },
		CutAfter: func(_ *testing.T, n int) { p.CutAfter(n) },
		Back:     func(*testing.T) { p.Restore() },
	}
}

// Cut resets every connection, and every new one until Restore.
func (p *Proxy) Cut() { p.set(cut, 0) }

// Stall holds every byte in both directions.
func (p *Proxy) Stall() { p.set(stalled, 0) }

// Mute throws away what the targets answer.
func (p *Proxy) Mute() { p.set(muted, 0) }

// CutAfter lets n more bytes go to the targets, counted over all connections,
// and then is Cut.
func (p *Proxy) CutAfter(n int) {
	if n <= 0 {
		p.Cut()
		return
	}
	p.set(limited, n)
}

// Restore ends every fault.
func (p *Proxy) Restore() { p.set(open, 0) }

func (p *Proxy) set(m mode, left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.left = m, left
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		if m == cut || m == open && l.lossy {
			l.close()
		}
	}
}

func (p *Proxy) accept(l net.Listener, target string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(client, target) })
	}
}

// carry serves one connection until both its sides are done.
func (p *Proxy) carry(client net.Conn, target string) {
	p.mu.Lock()
	refuse := p.mode == cut
	p.mu.Unlock()
	if refuse {
		reset(client)
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		reset(client)
		return
	}
	l := &link{client: client, server: server, gone: make(chan struct{})}
	l.close = sync.OnceFunc(func() {
		close(l.gone)
		reset(client)
		reset(server)
	})
	defer l.close()
	p.mu.Lock()
	p.links[l] = struct{}{}
	refuse = p.mode == cut // meanwhile; set closes what is in links
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	if refuse {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, server, client, true) })
	both.Go(func() { p.pump(l, client, server, false) })
	both.Wait()
}

// pump moves bytes from src to dst as far as the mode of the moment allows.
func (p *Proxy) pump(l *link, dst, src net.Conn, toServer bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			may, discard, ok := p.admit(l, toServer, len(data))
			if !ok {
				l.close()
				return
			}
			if !discard {
				if _, err := dst.Write(data[:may]); err != nil {
					l.close()
					return
				}
			}
			data = data[may:]
			if toServer {
				p.passed(may)
			}
		}
		if err == io.EOF {
			dst.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			l.close()
			return
		}
	}
}

// admit waits until some of n bytes may move, and says how many, and whether
// they are to be thrown away. ok is false when the link is to be closed.
func (p *Proxy) admit(l *link, toServer bool, n int) (may int, discard, ok bool) {
	for {
		p.mu.Lock()
		m, left, changed := p.mode, p.left, p.changed
		if m == muted && !toServer {
			l.lossy = true
		}
		lossy := l.lossy
		p.mu.Unlock()
		switch {
		case m == cut:
			return 0, false, false
		case m == stalled:
			select {
			case <-changed:
				continue
			case <-l.gone:
				return 0, false, false
			}
		case lossy && !toServer:
			return n, true, true
		case m == limited && toServer:
			return min(n, left), false, left > 0
		}
		return n, false, true
	}
}

// passed counts bytes that went to the other side, and cuts at the limit.
func (p *Proxy) passed(n int) {
	p.mu.Lock()
	full := false
	if p.mode == limited {
		p.left -= n
		full = p.left <= 0
	}
	p.mu.Unlock()
	if full {
		p.Cut()
	}
}

// reset closes a connection the hard way, as a host does that has vanished and
// come back.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
