package sinktest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every line with itself, and counts what it was sent.
type echo struct {
	addr string
	mu   sync.Mutex
	got  strings.Builder
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					b, err := r.ReadByte()
					if err != nil {
						return
					}
					e.mu.Lock()
					e.got.WriteByte(b)
					e.mu.Unlock()
					c.Write([]byte{b})
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return e
}

func (e *echo) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.String()
}

// waitFor polls until the server has seen want.
func (e *echo) waitFor(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); e.received() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server received %q, want %q", e.received(), want)
		}
	}
}

func dial(t *testing.T, p *Proxy, target string) net.Conn {
	t.Helper()
	c, err := p.Dial("tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

// hears reads want, or, if want is empty, checks that nothing comes.
func hears(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if want == "" {
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d bytes, %v; want silence", n, err)
		}
		return
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

func isReset(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want a closed connection", n, err)
	}
}

// cannotTalk: a new connection is refused, or reset as soon as it stands.
func cannotTalk(t *testing.T, p *Proxy, target string) {
	t.Helper()
	c, err := p.Dial("tcp", target)
	if err != nil {
		return
	}
	defer c.Close()
	isReset(t, c)
}

func TestProxy(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, p *Proxy, e *echo)
	}{
		{"an open proxy carries both directions", func(t *testing.T, p *Proxy, e *echo) {
			c := dial(t, p, e.addr)
			say(t, c, "hello")
			hears(t, c, "hello")
		}},
		{"a cut resets old and new connections until it is restored", func(t *testing.T, p *Proxy, e *echo) {
			c := dial(t, p, e.addr)
			say(t, c, "a")
			hears(t, c, "a")
			p.Cut()
			isReset(t, c)
			cannotTalk(t, p, e.addr)
			p.Restore()
			c = dial(t, p, e.addr)
			say(t, c, "b")
			hears(t, c, "b")
		}},
		{"a stall holds bytes and lets them go on", func(t *testing.T, p *Proxy, e *echo) {
			c := dial(t, p, e.addr)
			p.Stall()
			say(t, c, "late")
			hears(t, c, "")
			if got := e.received(); got != "" {
				t.Errorf("the server received %q during the stall", got)
			}
			p.Restore()
			hears(t, c, "late")
		}},
		{"a mute loses answers and not requests", func(t *testing.T, p *Proxy, e *echo) {
			c := dial(t, p, e.addr)
			p.Mute()
			say(t, c, "request")
			e.waitFor(t, "request")
			hears(t, c, "")
			p.Restore()
			isReset(t, c)
		}},
		{"a limit lets exactly so many bytes through", func(t *testing.T, p *Proxy, e *echo) {
			c := dial(t, p, e.addr)
			p.CutAfter(4)
			say(t, c, "123456789")
			e.waitFor(t, "1234")
			cannotTalk(t, p, e.addr)
			if got := e.received(); got != "1234" {
				t.Errorf("the server received %q, want the first 4 bytes", got)
			}
		}},
		{"a target that is not the proxy's is dialled directly", func(t *testing.T, p *Proxy, e *echo) {
			other := newEcho(t)
			p.Cut()
			c := dial(t, p, other.addr)
			say(t, c, "direct")
			hears(t, c, "direct")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEcho(t)
			tc.run(t, NewProxy(t, e.addr), e)
		})
	}
}
