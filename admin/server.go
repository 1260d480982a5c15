// Package admin is the admin port: whether the gateway is alive and ready, its
// metrics, the configuration in force and profiles. It reads and never writes.
//
// It is served by net/http, for which promhttp and pprof are made; events come
// in elsewhere.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options is what the port shows. All but Token and Log must be set.
type Options struct {
	Readiness Readiness
	Metrics   prometheus.Gatherer
	// Config returns what is in force, without secrets. It is asked for each
	// request, so that a reload shows.
	Config func() Document
	// Token is the bearer token that everything but health and readiness asks
	// for. Empty: none is asked for.
	Token string
	// Log takes what the server has to say of broken connections and panics. Nil:
	// slog.Default.
	Log *slog.Logger
}

// Document is a configuration as it may be shown, in two forms.
type Document interface {
	YAML() ([]byte, error)
	json.Marshaler
}

// Bounds of a request and its answer. A profile takes as long as it is asked
// to; everything else is written within writeTimeout or given up.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxScrapes    = 8 // of metrics at once
)

// Server is the admin port. It starts with Serve and stops with Shutdown.
type Server struct {
	http *http.Server
	stop context.CancelFunc // of the context of every request
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Server{
		stop: stop,
		http: &http.Server{
			Handler:           handler(o),
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
			BaseContext: func(ln net.Listener) context.Context {
				return context.WithValue(ctx, loopbackKey{}, isLoopback(ln.Addr()))
			},
		},
	}
}

// Serve answers what comes in on ln, which it closes, until Shutdown. It
// returns nil then, and otherwise what went wrong.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown takes no more connections, ends running profiles, waits until ctx
// is over for what is being answered, and then cuts what is left, in which
// case it returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}

// handler is the port without its listener.
func handler(o Options) http.Handler {
	open := http.NewServeMux() // without a token: what Kubernetes asks
	open.HandleFunc("GET /healthz", healthz)
	open.Handle("GET /readyz", readyz{o})

	guarded := http.NewServeMux()
	guarded.HandleFunc("GET /{$}", index)
	guarded.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             writeTimeout,
	}))
	guarded.Handle("GET /v1/config", showConfig{o})
	guarded.HandleFunc("GET /debug/pprof/", pprof.Index)
	guarded.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	guarded.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	guarded.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	guarded.HandleFunc("GET /debug/pprof/trace", pprof.Trace)

	// Whoever has no token is not told which paths exist.
	others := guard{o.Token, problems(guarded)}
	return headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			problems(open).ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	}))
}

// headers sets what every answer has, and bounds the time it takes to write.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		c := http.NewResponseController(w) // cannot fail: w is the server's own
		if isProfile(r.URL.Path) {
			// The read deadline would end the request's context in the middle.
			_ = c.SetReadDeadline(time.Time{})
			_ = c.SetWriteDeadline(time.Time{})
		} else {
			_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// isProfile reports whether the answer takes as long as its query says.
func isProfile(path string) bool {
	return strings.HasPrefix(path, "/debug/pprof/")
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the client left if it fails
}
