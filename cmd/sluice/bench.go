package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"sluice/bench/load"
	benchresult "sluice/bench/result"
	"sluice/bench/scenario"
)

// benchCmd is `sluice bench`; docs/bench.md is its manual.
type benchCmd struct {
	Run  benchRunCmd  `cmd:"" default:"withargs" help:"Run a scenario, or what the flags say."`
	Null benchNullCmd `cmd:"" hidden:"" help:"Answer every request at once, for finding the generator's own limit."`
}

// benchRunCmd is `sluice bench run`. A flag that is given replaces what the
// scenario says.
type benchRunCmd struct {
	Scenario string `arg:"" optional:"" type:"existingfile" help:"Scenario file (YAML). Without one: ten seconds of a closed loop of single events."`

	URL         *string            `name:"url" placeholder:"URL" help:"The gateway. Nothing else is sent to."`
	Key         string             `env:"SLUICE_KEY" placeholder:"KEY" help:"API key. Better from the environment or a file."`
	KeyFile     string             `type:"path" placeholder:"FILE" help:"File with the API key."`
	Ack         *string            `placeholder:"LEVEL" help:"What an answer is to promise: stored, journaled or received."`
	Rate        *float64           `placeholder:"N" help:"Open loop: so many events a second, whatever the answers do. The scenario's load is not used then."`
	Closed      bool               `help:"Closed loop: each connection sends its next request when it has its answer."`
	Connections *int               `short:"c" placeholder:"N" help:"Connections."`
	For         *scenario.Duration `placeholder:"TIME" help:"How long is measured."`
	Warmup      *scenario.Duration `placeholder:"TIME" help:"Load before that, not counted."`
	Count       *uint64            `placeholder:"N" help:"Stop after so many events."`
	Format      *string            `placeholder:"F" help:"single, array, ndjson or otlp."`
	Batch       *int               `placeholder:"N" help:"Events a request; ndjson unless the format is said."`
	Size        *scenario.Size     `placeholder:"SIZE" help:"Of an event, such as 500B."`
	Users       *int               `placeholder:"N" help:"Users that events are of."`
	Zipf        *float64           `placeholder:"S" help:"Exponent of the users' distribution; 0: uniform."`
	Compress    *string            `placeholder:"C" help:"none, gzip or zstd."`
	Timeout     *scenario.Duration `placeholder:"TIME" help:"Longest wait for an answer."`
	Retry       *bool              `help:"Send refused requests again, obeying Retry-After."`
	Seed        *uint64            `placeholder:"N" help:"The same seed makes the same events."`
	Insecure    bool               `help:"Trust any certificate."`
	CAFile      string             `name:"ca-file" type:"path" placeholder:"FILE" help:"Authorities to trust, PEM."`

	Admin      string `placeholder:"URL" help:"Admin port of the gateway, for its processor time, memory and mailboxes."`
	AdminToken string `env:"SLUICE_ADMIN_TOKEN" placeholder:"TOKEN" help:"Token of the admin port, if it asks for one."`
	PID        int    `name:"pid" placeholder:"N" help:"Process of a server without an admin port, for its processor time and memory (Linux)."`
	Procs      int    `placeholder:"N" help:"Processors for the generator itself. A quarter of the machine's, at least one, without it: the server needs the others."`
	Limit      bool   `help:"Measure before what the generator itself can do, against a server that does nothing."`
	JSON       string `name:"json" type:"path" placeholder:"FILE" help:"Write the result as JSON; - is the standard output."`
	Quiet      bool   `short:"q" help:"No progress."`
}

// Run runs the scenario and prints what it showed. A first interrupt ends it with
// the result so far, a second one at once.
func (c benchRunCmd) Run(ctx context.Context, std stdio) error {
	plan, err := c.plan()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	options := load.Options{Version: buildVersion(debug.ReadBuildInfo()).String()}
	if options.Server, err = c.probe(ctx); err != nil {
		return err
	}
	if !c.Quiet {
		p := newBenchProgress(std.Err)
		options.Progress = p.show
		defer p.end()
	}
	defer c.takeProcs()()
	limit := 0.0
	if c.Limit {
		if limit, err = measureLimit(ctx, plan); err != nil {
			return fmt.Errorf("--limit: %w", err)
		}
	}
	hard, stop, release := interruptible(ctx, std)
	defer release()
	options.Stop = stop
	run, err := load.Run(hard, plan, options)
	if err != nil {
		return err
	}
	run.Generator.Limit = limit
	if err := c.report(std, run); err != nil {
		return err
	}
	if run.Totals.Accepted+run.Totals.Duplicates == 0 {
		return errors.New("nothing was accepted: " + mostly(&run.Totals))
	}
	return nil
}

// mostly says what became of most events of a run.
func mostly(t *benchresult.Totals) string {
	what, most := "no answer", t.Unknown
	for _, x := range []struct {
		what string
		n    uint64
	}{{"rejected", t.Rejected}, {"failed", t.Failed}, {"not sent", t.Unsent}} {
		if x.n > most {
			what, most = x.what, x.n
		}
	}
	for code, n := range t.Refused {
		if n > most {
			what, most = code, n
		}
	}
	return what
}

// takeProcs sets how many processors the generator uses, and returns what sets it
// back. GOMAXPROCS, where it is set, is obeyed.
func (c benchRunCmd) takeProcs() (restore func()) {
	n := c.Procs
	switch {
	case n > 0:
	case os.Getenv("GOMAXPROCS") != "":
		return func() {}
	default:
		n = max(1, runtime.NumCPU()/4)
	}
	old := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(old) }
}

// interruptible returns what the first interrupt closes, and a context that the
// second one ends.
func interruptible(ctx context.Context, std stdio) (hard context.Context, stop <-chan struct{}, release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	soft, over := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		case <-over:
			return
		}
		fmt.Fprintln(std.Err, "stopping: waiting for the answers under way; interrupt again to end at once")
		close(soft)
		select {
		case <-signals:
			cut()
		case <-over:
		}
	}()
	return hard, soft, func() {
		signal.Stop(signals)
		close(over)
		cut()
	}
}

// plan is the scenario with what the flags change.
func (c benchRunCmd) plan() (*load.Plan, error) {
	s := scenario.Default()
	if c.Scenario != "" {
		var err error
		if s, err = scenario.Read(c.Scenario); err != nil {
			return nil, err
		}
	}
	c.override(s)
	key := c.Key
	if c.KeyFile != "" {
		var err error
		if key, err = givenKey("", c.KeyFile); err != nil {
			return nil, err
		}
	}
	return s.Plan(key)
}

func (c benchRunCmd) override(s *scenario.Scenario) {
	set(&s.URL, c.URL)
	set(&s.Ack, c.Ack)
	set(&s.Connections, c.Connections)
	set(&s.For, c.For)
	set(&s.Warmup, c.Warmup)
	set(&s.Count, c.Count)
	set(&s.Events.Size, c.Size)
	set(&s.Users.Count, c.Users)
	set(&s.Users.Zipf, c.Zipf)
	set(&s.Events.Compress, c.Compress)
	set(&s.Timeout, c.Timeout)
	set(&s.Retry, c.Retry)
	set(&s.Seed, c.Seed)
	if c.Batch != nil {
		s.Events.Batch = *c.Batch
		if s.Events.Format == "single" && *c.Batch != 1 {
			s.Events.Format = "ndjson"
		}
	}
	if c.Format != nil {
		s.Events.Format = *c.Format
		if *c.Format == "single" && c.Batch == nil {
			s.Events.Batch = 1
		}
	}
	if c.Closed {
		s.Load = scenario.Load{Closed: true}
	}
	if c.Rate != nil {
		s.Load = scenario.Load{Closed: c.Closed, Rate: *c.Rate}
	}
	s.TLS.Insecure = s.TLS.Insecure || c.Insecure
	if c.CAFile != "" {
		s.TLS.CAFile = c.CAFile
	}
}

func set[T any](into *T, given *T) {
	if given != nil {
		*into = *given
	}
}

// probe is how the server's own figures are come by; nil: not at all.
func (c benchRunCmd) probe(ctx context.Context) (load.Probe, error) {
	switch {
	case c.Admin != "" && c.PID != 0:
		return nil, &exitError{exitUsage, errors.New("want one of --admin and --pid")}
	case c.PID != 0:
		p, err := load.NewPIDProbe(c.PID)
		if err != nil {
			return nil, fmt.Errorf("--pid: %w", err)
		}
		return p, nil
	case c.Admin == "":
		return nil, nil
	}
	p := &load.AdminProbe{URL: c.Admin, Token: c.AdminToken, Client: &http.Client{Timeout: time.Second}}
	if _, err := p.Look(ctx); err != nil {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	return p, nil
}

// report prints the result and writes what was asked for.
func (c benchRunCmd) report(std stdio, run *benchresult.Run) error {
	if c.JSON == "-" {
		return std.json(run)
	}
	if c.JSON != "" {
		f, err := os.Create(c.JSON)
		if err != nil {
			return err
		}
		err = stdio{Out: f}.json(run)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return printBench(std.Out, run)
}
