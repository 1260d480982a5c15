// Package gateway is the data port: events come in over HTTP and go to the
// tenant's pipeline, and a user's events are read back. It knows the pipeline
// by the small interfaces in tenants.go only.
//
//	listener ─▶ fasthttp ─▶ framing ─▶ route ─▶ key ─▶ parameters, types, limits
//	                                                     │
//	        receipt ◀─ Submit ◀─ decode ◀─ read ◀─ Reserve
//	           └─▶ outcome.go ─▶ answer | problem
//
// What a connection costs: its goroutine, fasthttp's read buffer (MaxHeader)
// once it has sent a request, and up to 8 KiB of a body that is being looked
// at. Everything else is reserved from a tenant's budget before it is
// allocated, apart from the decoders, of which there are as many as
// processors.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// lastWords is how long a shutdown that ran out of time lets answers leave.
const lastWords = 100 * time.Millisecond

// prefetched is how much of a body fasthttp has read when the handler starts.
const prefetched = 8 << 10

// Options are the settings of a Server. Zero values take the defaults given.
type Options struct {
	Limits Limits // required

	// RequestTimeout is how long an answer waits for its events' outcome, from
	// when the whole body is there (5 s). Reads of stored events have as long.
	RequestTimeout time.Duration
	HeaderTimeout  time.Duration // from a request's first byte to the end of its header, or of a body up to 8 KiB (10 s)
	BodyTimeout    time.Duration // from there to the end of a larger body (30 s)
	WriteTimeout   time.Duration // to write an answer, a page of events included (30 s)
	IdleTimeout    time.Duration // between two requests of a connection (75 s)

	MaxConns  int // connections at once; beyond it they get 503 (65,536)
	MaxHeader int // bytes of the request line and the headers together (8 KiB)

	TLS *TLS // nil: plain HTTP
	Log *slog.Logger

	// Observe, when set, is told of every answer: the tenant ("" before it is
	// known), the status, the bytes of body received as sent, and the time from
	// the header (and the first 8 KiB of the body) being there to the answer. It must
	// be quick and may be called by many goroutines at once.
	Observe func(tenant string, status, bytes int, took time.Duration)
}

func (o *Options) defaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&o.RequestTimeout, 5 * time.Second},
		{&o.HeaderTimeout, 10 * time.Second},
		{&o.BodyTimeout, 30 * time.Second},
		{&o.WriteTimeout, 30 * time.Second},
		{&o.IdleTimeout, 75 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 65536
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = 8 << 10
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Server is the data port.
//
// Life: New, Serve (which blocks), StartDraining, Shutdown. Replace may be
// called at any time; a request sees one table from its start to its end.
type Server struct {
	opts     Options
	http     *fasthttp.Server
	table    atomic.Pointer[table]
	decoders *decoders
	cert     atomic.Pointer[tls.Certificate]

	patience *patience

	draining atomic.Bool
	stopping atomic.Bool // every answer is the last of its connection

	mu        sync.Mutex
	listeners []*listener
	stopped   bool
}

// New returns a server of tenants. Nothing is listened to before Serve.
func New(opts Options, tenants []Tenant) (*Server, error) {
	opts.defaults()
	s := &Server{opts: opts, decoders: newDecoders(), patience: newPatience(opts.RequestTimeout)}
	if err := s.Replace(opts.Limits, tenants); err != nil {
		return nil, err
	}
	if opts.TLS != nil {
		if err := s.ReloadTLS(); err != nil {
			return nil, err
		}
	}
	s.http = &fasthttp.Server{
		Name:           "sluice",
		Handler:        s.handle,
		ErrorHandler:   s.unreadable,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expect,
		ConnState:      watch,

		// Streaming, so that a body is read after its sender is known, and into
		// memory that is reserved. A multipart form would be read beforehand.
		StreamRequestBody:            true,
		MaxRequestBodySize:           prefetched,
		DisablePreParseMultipartForm: true,

		// The limit of connections is the listener's, whose refusal is honest;
		// this one only has to stay out of its way.
		Concurrency:    2*opts.MaxConns + 1024,
		ReadBufferSize: opts.MaxHeader,
		ReadTimeout:    opts.HeaderTimeout,
		WriteTimeout:   opts.WriteTimeout,
		IdleTimeout:    opts.IdleTimeout,
		// A connection that has not sent anything has no buffers then, and an
		// idle one no write buffer.
		ReduceMemoryUsage: true,
		CloseOnShutdown:   true,

		// Its messages quote what clients sent, keys included: not even at debug.
		SecureErrorLogMessage: true,
		Logger:                logger{opts.Log},
	}
	return s, nil
}

// logger takes what fasthttp has to say: of connections that ended badly,
// which is the clients' doing.
type logger struct{ log *slog.Logger }

func (l logger) Printf(format string, args ...any) {
	l.log.Debug("data port: " + fmt.Sprintf(format, args...))
}

// Replace puts other limits and tenants in force, all at once. Requests under
// way end with those they began with. On an error nothing changes.
func (s *Server) Replace(limits Limits, tenants []Tenant) error {
	t, err := newTable(limits, tenants)
	if err != nil {
		return err
	}
	s.table.Store(t)
	return nil
}

// Serve answers requests from ln until Shutdown, and returns nil then. It owns
// ln.
func (s *Server) Serve(ln net.Listener) error {
	var overload []byte
	if s.opts.TLS == nil {
		overload = overloaded(s.opts.MaxConns)
	}
	own := newListener(ln, &s.opts, overload)
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		_ = ln.Close()
		return errors.New("gateway: the server was shut down")
	}
	s.listeners = append(s.listeners, own)
	s.mu.Unlock()

	var outer net.Listener = own
	if s.opts.TLS != nil {
		outer = tls.NewListener(own, s.tlsConfig())
	}
	err := s.http.Serve(outer)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.listeners {
		n += l.count()
	}
	return n
}

// StartDraining makes every new event a 503 that closes its connection. What
// is under way goes on, and reads are still answered.
func (s *Server) StartDraining() { s.draining.Store(true) }

// Shutdown stops listening, closes the connections that wait for a request,
// and returns once those under way are answered. When ctx is over first, those
// that wait for an outcome are answered outcome_unknown, the others are cut off
// a tenth of a second later, and ctx's error is returned. Serve returns in
// either case.
func (s *Server) Shutdown(ctx context.Context) error {
	s.StartDraining()
	s.stopping.Store(true)
	s.mu.Lock()
	s.stopped = true
	listeners := s.listeners
	s.mu.Unlock()

	for _, l := range listeners {
		_ = l.Close()
		l.closeQuiet()
	}
	err := s.http.ShutdownWithContext(ctx)
	for _, l := range listeners {
		if e := l.wait(ctx); e != nil {
			err = e
		}
	}
	if ctx.Err() == nil {
		return err
	}
	s.patience.end() // whoever waits for an outcome is told that it is unknown
	last, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for _, l := range listeners {
		_ = l.wait(last)
		l.closeAll()
	}
	return ctx.Err()
}
