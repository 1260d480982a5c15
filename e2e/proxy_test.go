package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// proxy stands between sluice and a real server, and can be away, there, or
// stalled: connections stay, and no byte moves in either direction.
//
//	away ──open──▶ there ──stall──▶ stalled ──open──▶ there
//	  ▲──────── cut ─┴─────── cut ─────┘
//
// Its address holds throughout. Kafka tells its clients where its brokers are,
// and they would go there past the proxy: it rewrites its target's port into its
// own in what the broker answers.
type proxy struct {
	t      *testing.T
	addr   string
	target string
	kafka  bool
	wg     sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil: away
	conns    map[net.Conn]struct{}
	gate     chan struct{} // closed while there; open while stalled
	stalled  bool
}

// newKafkaProxy returns a proxy in front of the broker. It is away.
func newKafkaProxy(t *testing.T) *proxy {
	t.Helper()
	return newProxy(t, kafkaAddr(t), true)
}

// newCassandraProxy returns a proxy in front of the node, at the node's own
// host, which is where the driver looks for it. It is away.
func newCassandraProxy(t *testing.T) *proxy {
	t.Helper()
	return newProxy(t, cassandraAddr(t)+":9042", false)
}

func newProxy(t *testing.T, target string, kafka bool) *proxy {
	t.Helper()
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: target, kafka: kafka, addr: freeAddr(t, host), conns: make(map[net.Conn]struct{}), gate: make(chan struct{})}
	close(p.gate)
	t.Cleanup(func() {
		p.cut()
		p.wg.Wait()
	})
	return p
}

// freeAddr returns an address of host on which nothing listens.
func freeAddr(t *testing.T, host string) string {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (p *proxy) host() string {
	host, _, _ := net.SplitHostPort(p.addr)
	return host
}

func (p *proxy) port() string {
	_, port, _ := net.SplitHostPort(p.addr)
	return port
}

// open lets everything through.
func (p *proxy) open() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled {
		p.stalled = false
		close(p.gate)
	}
	if p.listener != nil {
		return
	}
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.listener = ln
	p.wg.Go(func() { p.accept(ln) })
}

// stall holds every byte. The proxy has to be there.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stalled {
		p.stalled = true
		p.gate = make(chan struct{})
	}
}

// cut ends every connection, and nothing listens any more.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled {
		p.stalled = false
		close(p.gate)
	}
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(ln, client) })
	}
}

// carry serves one connection until one of its sides is gone.
func (p *proxy) carry(ln net.Listener, client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	if p.listener != ln {
		p.mu.Unlock()
		client.Close()
		server.Close()
		return
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		p.pump(server, client)
		server.Close()
	})
	both.Go(func() {
		if p.kafka {
			p.pumpFrames(client, server)
		} else {
			p.pump(client, server)
		}
		client.Close()
	})
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// pass waits while the proxy is stalled.
func (p *proxy) pass() {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	<-gate
}

func (p *proxy) pump(dst, src net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		p.pass()
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// pumpFrames moves Kafka's answers, each four bytes of length and so many bytes,
// with the target's host and port made the proxy's. A host is text and a port
// the four bytes behind it, in every version of the answers that hold them.
func (p *proxy) pumpFrames(dst, src net.Conn) {
	host, port, _ := net.SplitHostPort(p.target)
	address := func(port string) []byte {
		n, _ := strconv.Atoi(port)
		return binary.BigEndian.AppendUint32([]byte(host), uint32(n))
	}
	theirs, ours := address(port), address(p.port())
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(src, head); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(src, frame); err != nil {
			return
		}
		p.pass()
		if _, err := dst.Write(append(head, bytes.ReplaceAll(frame, theirs, ours)...)); err != nil {
			return
		}
	}
}
