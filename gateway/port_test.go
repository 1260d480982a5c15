package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(idleClients); addr != "" {
		os.Exit(holdIdleConnections(addr))
	}
	code := m.Run()
	if code == 0 {
		if err := undelivered(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if code == 0 {
		// fasthttp keeps one goroutine for the Date header, for ever, and one per
		// Serve that wakes up every ten seconds to see that it is over.
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// port is a running server and what is behind it.
type port struct {
	t      testing.TB
	srv    *Server
	addr   string
	intake *fakeIntake
	store  *fakeStore
	log    *syncBuffer
	tls    *tls.Config
	served chan error

	mu   sync.Mutex
	seen []observation
}

type observation struct {
	tenant        string
	status, bytes int
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var testLimits = Limits{MaxBody: 8 << 20, MaxEvent: 256 << 10, MaxEvents: 10000, MaxDepth: 64}

// start serves on loopback until the test ends, and then checks that no byte
// of the budget is missing.
func start(t testing.TB, change func(p *port, o *Options)) *port {
	t.Helper()
	p := &port{t: t, intake: &fakeIntake{}, store: &fakeStore{}, log: &syncBuffer{}, served: make(chan error, 1)}
	opts := Options{Limits: testLimits, RequestTimeout: 20 * time.Second, Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	opts.Observe = func(tenant string, status, bytes int, _ time.Duration) {
		p.mu.Lock()
		p.seen = append(p.seen, observation{tenant, status, bytes})
		p.mu.Unlock()
	}
	if change != nil {
		change(p, &opts)
	}
	srv, err := New(opts, p.tenants())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.srv, p.addr = srv, ln.Addr().String()
	go func() { p.served <- srv.Serve(ln) }()
	t.Cleanup(p.stop)
	return p
}

func (p *port) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p.intake.settleKept()
	if err := p.srv.Shutdown(ctx); err != nil {
		p.t.Errorf("Shutdown: %v", err)
	}
	if err := <-p.served; err != nil {
		p.t.Errorf("Serve: %v", err)
	}
	p.served <- nil // stop may be called again
	eventually(p.t, "every reserved byte is given back", func() bool { return p.intake.used.Load() == 0 })
}

func (p *port) observed() []observation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]observation(nil), p.seen...)
}

// client is one raw connection to a port.
type client struct {
	t    testing.TB
	c    net.Conn
	r    *bufio.Reader
	sent string // method and target of the last request
}

func (p *port) dial() *client {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.tls != nil {
		c = tls.Client(c, p.tls)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	p.t.Cleanup(func() { _ = c.Close() })
	return &client{t: p.t, c: c, r: bufio.NewReader(c)}
}

// send writes raw bytes. That the server hung up meanwhile is no failure: what
// counts is the answer.
func (c *client) send(raw string) {
	c.t.Helper()
	if line, _, ok := strings.Cut(strings.TrimLeft(raw, "\r\n"), "\r\n"); ok && strings.Contains(line, " HTTP/1.") {
		c.sent = line
	}
	_, _ = io.WriteString(c.c, raw)
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
	doc  map[string]any // of JSON
}

// receive reads one response, and holds it against the OpenAPI document.
func (c *client) receive() *answer {
	c.t.Helper()
	a, err := c.tryReceive()
	if err != nil {
		c.t.Fatalf("%s: no answer: %v", c.sent, err)
	}
	return a
}

func (c *client) tryReceive() (*answer, error) {
	c.t.Helper()
	method, _, _ := strings.Cut(c.sent, " ")
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	a := &answer{Response: r}
	if a.body, err = io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	if r.StatusCode == http.StatusContinue {
		return a, nil
	}
	if strings.Contains(r.Header.Get("Content-Type"), "json") && r.Header.Get("Content-Type") != typeNDJSON && method != "HEAD" {
		if err := json.Unmarshal(a.body, &a.doc); err != nil {
			c.t.Errorf("%s: the body is not JSON: %v: %s", c.sent, err, a.body)
		}
	}
	if got := r.Header.Get("Server"); got != "sluice" {
		c.t.Errorf("%s: Server is %q", c.sent, got)
	}
	checkProblem(c.t, c.sent, a)
	checkDocumented(c.t, c.sent, a)
	return a, nil
}

// checkProblem holds what every answer that is not a success owes.
func checkProblem(t testing.TB, sent string, a *answer) {
	t.Helper()
	if a.StatusCode < 300 || strings.HasPrefix(sent, "HEAD") {
		return
	}
	if got := a.Header.Get("Content-Type"); got != typeProblem {
		t.Errorf("%s: %d has Content-Type %q", sent, a.StatusCode, got)
	}
	code, _ := a.doc["code"].(string)
	if a.doc["type"] != typePrefix+code || a.doc["status"] != float64(a.StatusCode) || a.doc["title"] != titles[code] || a.doc["detail"] == "" {
		t.Errorf("%s: not a complete problem: %s", sent, a.body)
	}
	if a.StatusCode == 429 || a.StatusCode == 503 {
		if a.Header.Get("Retry-After") == "" || a.doc["retry_after_ms"] == nil {
			t.Errorf("%s: %d does not say when to come back: %s", sent, a.StatusCode, a.body)
		}
	}
	for _, leak := range []string{"fasthttp", "goroutine", ".go:", "runtime error", "i/o timeout"} {
		if bytes.Contains(a.body, []byte(leak)) {
			t.Errorf("%s: the client is told of the inside: %s", sent, a.body)
		}
	}
}

// closed reports whether the server has closed the connection, waiting for it.
func (c *client) closed() bool {
	_ = c.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := c.r.ReadByte()
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

// do sends one request on a connection of its own. head is header lines joined
// by LF; Host, the key and Content-Length are added unless they are there.
func (p *port) do(line, head, body string) *answer {
	p.t.Helper()
	c := p.dial()
	c.send(request(line, head, body))
	a := c.receive()
	_ = c.c.Close()
	return a
}

func request(line, head, body string) string {
	var b strings.Builder
	b.WriteString(line + " HTTP/1.1\r\n")
	lower := "\n" + strings.ToLower(head)
	for _, add := range []struct{ name, line string }{
		{"host", "Host: sluice.test"},
		{"authorization", "Authorization: Bearer " + testKey},
		{"content-length", fmt.Sprintf("Content-Length: %d", len(body))},
	} {
		if add.name == "content-length" && (strings.Contains(lower, "\ntransfer-encoding:") || !strings.HasPrefix(line, "POST")) {
			continue
		}
		if add.name == "authorization" && (strings.Contains(lower, "\nx-api-key:") || strings.Contains(lower, "\nno-key:")) {
			continue
		}
		if !strings.Contains(lower, "\n"+add.name+":") {
			b.WriteString(add.line + "\r\n")
		}
	}
	if strings.HasPrefix(line, "POST") && !strings.Contains(lower, "\ncontent-type:") {
		b.WriteString("Content-Type: application/json\r\n")
	}
	for _, h := range strings.Split(head, "\n") {
		if h != "" {
			b.WriteString(h + "\r\n")
		}
	}
	return b.String() + "\r\n" + body
}

const oneEvent = `{"id":"e-1","type":"click","user":"u-1"}`

func (a *answer) want(t testing.TB, status int, code string) {
	t.Helper()
	if a.StatusCode != status || (code != "" && a.doc["code"] != code) {
		t.Fatalf("answered %d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
}
