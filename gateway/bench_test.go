package gateway

import (
	"io"
	"net"
	"testing"
	"time"

	"sluice/event"
)

// loop is a connection on which the same request arrives n times. It answers
// to nobody.
type loop struct {
	net.Conn
	request []byte
	left    int
	at      int
	status  [12]byte // how the last answer began
}

func (l *loop) Read(p []byte) (int, error) {
	if l.at == len(l.request) {
		l.at = 0
		l.left--
	}
	if l.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, l.request[l.at:])
	l.at += n
	return n, nil
}

func (l *loop) Write(p []byte) (int, error) {
	copy(l.status[:], p)
	return len(p), nil
}

func (l *loop) Close() error                     { return nil }
func (l *loop) SetReadDeadline(time.Time) error  { return nil }
func (l *loop) SetWriteDeadline(time.Time) error { return nil }
func (l *loop) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (l *loop) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// instant is a pipeline that costs one receipt.
type instant struct{}

func (instant) Reserve(int) *event.Refusal { return nil }
func (instant) Release(int)                {}
func (instant) RetryAfter() time.Duration  { return time.Second }
func (instant) Submit(req event.Request) *event.Receipt {
	r := event.NewReceipt(req.Ack, nil, 0)
	r.Expect(1)
	r.Settle(0, event.Outcome{ID: "e-1", Fate: event.Stored})
	return r
}

func instantServer(t testing.TB) *Server {
	p := &port{intake: &fakeIntake{}, store: &fakeStore{}}
	tenants := p.tenants()
	tenants[0].Intake = instant{}
	srv, err := New(Options{Limits: testLimits, Observe: func(string, int, int, time.Duration) {}}, tenants)
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

const typicalEvent = `{"id":"018f6d0a-7a1c-7cc3-9d3e-2f5b8c1d4e6f","type":"order.paid","user":"u-104729","ts":1769860800000,` +
	`"props":{"price":"19.90","currency":"EUR","items":[{"sku":"A-1","n":2},{"sku":"B-7","n":1}],"note":"left at the door, thanks"}}`

// BenchmarkSingleEvent is everything of the data port but the network: one
// connection, one event a request, a pipeline that answers at once.
func BenchmarkSingleEvent(b *testing.B) {
	srv := instantServer(b)
	raw := []byte(request("POST /v1/events", "", typicalEvent))
	b.ReportAllocs()
	b.SetBytes(int64(len(typicalEvent)))
	b.ResetTimer()
	if err := srv.http.ServeConn(&loop{request: raw, left: b.N}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// TestSingleEventAllocations: the body and the receipt's two (itself and its
// channel) are all that a request allocates here, next to the one with which
// fasthttp looks whether the body was read to its end.
func TestSingleEventAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	srv := instantServer(t)
	raw := []byte(request("POST /v1/events", "", typicalEvent))
	const n = 1000
	c := &loop{request: raw}
	perRequest := testing.AllocsPerRun(5, func() {
		c.left, c.at = n, 0
		_ = srv.http.ServeConn(c)
	}) / n
	if string(c.status[:]) != "HTTP/1.1 200" {
		t.Fatalf("answered %q", c.status)
	}
	if perRequest > 4.1 {
		t.Errorf("%.2f allocations a request, want 4", perRequest)
	}
}
