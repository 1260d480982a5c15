package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/actors"
	"sluice/admin"
	"sluice/config"
	"sluice/gateway"
	"sluice/metrics"
)

// serveCmd is `sluice serve`.
type serveCmd struct {
	Config   string `short:"c" placeholder:"FILE" help:"Configuration. Without one: the embedded store in ./data and one tenant, demo, whose key is printed."`
	LogLevel string `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: ${enum}."`
	LogJSON  bool   `name:"log-json" help:"Log as JSON, for machines."`
}

// Run serves until a signal. What runs, and in which order it stops:
//
//	            data port ──▶ pipeline ──▶ sinks
//	admin port ────────────────┘
//	signals
//
// SIGTERM or SIGINT: readiness and new events become 503, what is in flight
// gets its outcome, the data port closes, the sinks close, the admin port
// closes. A second signal ends the process at once.
func (c serveCmd) Run(ctx context.Context, std stdio) error {
	cfg, demo, err := c.load()
	if err != nil {
		return err
	}
	g, err := newGroup(cfg, c.logger(std))
	if err != nil {
		return err
	}
	if demo != "" {
		greet(std, g, demo)
	}
	return g.run(ctx)
}

func (c serveCmd) logger(std stdio) *slog.Logger {
	var level slog.Level
	// The enum of the flag lets nothing else through.
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(std.Err, o))
	}
	return slog.New(slog.NewTextHandler(std.Err, o))
}

// load returns the configuration and, where none was given, the demo tenant's
// key.
func (c serveCmd) load() (cfg *config.Config, demoKey string, err error) {
	if c.Config != "" {
		cfg, err = config.Load(c.Config, os.LookupEnv)
		return cfg, "", err
	}
	cfg = config.Default()
	key, err := keptKey(filepath.Join(cfg.Dir, "demo.key"))
	if err != nil {
		return nil, "", err
	}
	demo := cfg.Tenants["demo"]
	demo.Keys = []config.KeyHash{config.HashKey(key)}
	cfg.Tenants["demo"] = demo
	return cfg, key, nil
}

// keptKey returns the key in the file, which is made with a new one where it is
// not there: the command line that worked yesterday works today.
func keptKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the demo tenant's key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("the directory of the embedded store: %w", err)
	}
	key := newKey()
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("the demo tenant's key: %w", err)
	}
	return key, nil
}

// greet tells someone who has just started sluice what to do with it.
func greet(std stdio, g *group, key string) {
	data := reachable(g.data.Addr())
	fmt.Fprintf(std.Out, `sluice is running on the embedded store in %s, with one tenant: demo
  events  http://%s
  admin   http://%s
  key     %s

Send an event, and read it back:
  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"type":"hello","user":"ann","text":"it works"}' http://%s/v1/events
  curl -H 'Authorization: Bearer %s' http://%s/v1/users/ann/events

Stop it with Ctrl-C.
`, g.cfg.Dir, data, reachable(g.admin.Addr()), key, key, data, key, data)
}

// reachable returns an address at which a listener on all interfaces can be
// reached from here.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// group is everything that `sluice serve` runs.
type group struct {
	cfg         *config.Config
	log         *slog.Logger
	data, admin net.Listener
	stores      stores
	pipeline    *actors.Pipeline
	dataPort    *gateway.Server
	adminPort   *admin.Server
}

// newGroup opens and starts everything but the ports' accept loops. On an error
// nothing is left running.
func newGroup(cfg *config.Config, log *slog.Logger) (_ *group, err error) {
	g := &group{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			g.abandon()
		}
	}()
	limitMemory(cfg, log)
	if g.data, err = listen("data.listen", cfg.Data.Listen); err != nil {
		return nil, err
	}
	if g.admin, err = listen("admin.listen", cfg.Admin.Listen); err != nil {
		return nil, err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New(reg)
	if g.stores, err = openStores(cfg, m, log); err != nil {
		return nil, err
	}
	tenants := pipelineTenants(cfg, g.stores)
	if g.pipeline, err = actors.Start(actors.Options{Tenants: tenants, Metrics: m, Log: log}); err != nil {
		return nil, err
	}
	metrics.Watch(reg, g.pipeline.Gauges)
	g.dataPort, err = gateway.New(gatewayOptions(cfg, log, m), gatewayTenants(cfg, tenants, g.pipeline))
	if err != nil {
		return nil, err
	}
	g.adminPort = admin.New(admin.Options{
		Readiness: readiness{g.pipeline}, Metrics: reg, Token: cfg.Admin.Token.Reveal(), Log: log,
		Config: func() admin.Document { return cfg.Redacted() },
	})
	return g, nil
}

func gatewayOptions(cfg *config.Config, log *slog.Logger, m *metrics.Metrics) gateway.Options {
	o := gateway.Options{
		Limits: gateway.Limits{MaxBody: int(cfg.Data.MaxBody), MaxEvent: int(cfg.Data.MaxEvent),
			MaxEvents: cfg.Data.MaxEvents, MaxDepth: cfg.Data.MaxDepth},
		RequestTimeout: time.Duration(cfg.Data.RequestTimeout), BodyTimeout: time.Duration(cfg.Data.ReadTimeout),
		IdleTimeout: time.Duration(cfg.Data.IdleTimeout), Log: log,
		Observe: func(tenant string, status, bytes int, took time.Duration) {
			m.Request(tenant, status, bytes, took.Seconds())
		},
	}
	if cfg.Data.TLS.Enabled() {
		o.TLS = &gateway.TLS{CertFile: cfg.Data.TLS.CertFile, KeyFile: cfg.Data.TLS.KeyFile}
	}
	return o
}

// listen listens on what a key of the configuration says.
func listen(key, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another process: stop it, or choose another port", key, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: no permission to listen on %s: ports below 1024 need it, others do not", key, address)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return ln, nil
}

// abandon undoes what newGroup has done so far.
func (g *group) abandon() {
	if g.pipeline != nil {
		if err := g.pipeline.Drain(context.Background()); err != nil {
			g.log.Error("stopping", "error", err)
		}
	}
	g.stores.close(context.Background(), g.log)
	for _, ln := range []net.Listener{g.data, g.admin} {
		if ln != nil {
			ln.Close()
		}
	}
}

// run serves until ctx is over, a signal comes or a port fails, and stops in
// order. It returns nil when everything in flight got its outcome in time.
func (g *group) run(ctx context.Context) error {
	var all run.Group
	all.Add(func() error { return g.adminPort.Serve(g.admin) }, func(error) {
		within, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := g.adminPort.Shutdown(within); err != nil {
			g.log.Warn("admin port cut off", "error", err)
		}
	})
	if os.Getenv("GOGC") == "" {
		tuning, end := context.WithCancel(context.Background())
		all.Add(func() error { return tuneCollector(tuning) }, func(error) { end() })
	}
	stop := make(chan struct{})
	all.Add(func() error { return g.serve(ctx, stop) }, func(error) { close(stop) })
	g.log.Info("serving", "data", g.data.Addr().String(), "admin", g.admin.Addr().String(), "tenants", len(g.cfg.Tenants))
	return all.Run()
}

// serve serves the data port until there is a reason to stop, then drains. It
// returns when everything but the admin port has stopped, which answers until
// then, and an error when something in flight was given up.
func (g *group) serve(ctx context.Context, stop <-chan struct{}) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- g.dataPort.Serve(g.data) }()
	var failed error
	select {
	case s := <-signals:
		g.log.Info("draining: a second signal ends the process at once", "signal", s.String(), "timeout", g.cfg.DrainTimeout.String())
	case <-ctx.Done():
	case <-stop:
	case failed = <-served:
	}
	drained := make(chan error, 1)
	go func() { drained <- g.drain() }()
	start := time.Now()
	for {
		select {
		case err := <-drained:
			return errors.Join(failed, err)
		case s := <-signals:
			if time.Since(start) < sameSignal {
				continue
			}
			g.log.Warn("ended at once: what was in flight has no outcome", "signal", s.String())
			os.Exit(exitFailed)
		}
	}
}

// sameSignal is how soon after the first a signal is still the same one: some
// who stop a process send it to the process and to its group.
const sameSignal = 250 * time.Millisecond

// drain stops everything but the admin port, from the edge to the sinks.
func (g *group) drain() error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(g.cfg.DrainTimeout))
	defer cancel()
	g.dataPort.StartDraining()
	err := g.pipeline.Drain(ctx)
	if e := g.dataPort.Shutdown(ctx); e != nil {
		g.log.Warn("connections were cut off", "error", e)
	}
	g.stores.close(ctx, g.log)
	g.log.Info("drained", "took", time.Since(start).Round(time.Millisecond).String())
	return err
}
