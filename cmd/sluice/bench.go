package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"sluice/bench/ledger"
	"sluice/bench/load"
	"sluice/bench/report"
	benchresult "sluice/bench/result"
	"sluice/bench/scenario"
	"sluice/bench/verify"
	"sluice/event"
)

// benchCmd is `sluice bench`; docs/bench.md is its manual.
type benchCmd struct {
	Run     benchRunCmd     `cmd:"" default:"withargs" help:"Run a scenario, or what the flags say."`
	Compare benchCompareCmd `cmd:"" help:"Tell what changed between two sets of runs."`
	Null    benchNullCmd    `cmd:"" hidden:"" help:"Answer every request at once, for finding the generator's own limit."`
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
	Verify     string `placeholder:"SINK" help:"Read back afterwards, and say what is lost, doubled or out of order: local, kafka://HOST:PORT/TOPIC or cassandra://HOST/KEYSPACE.TABLE."`
	JSON       string `name:"json" type:"path" placeholder:"FILE" help:"Keep the result as JSON; - is the standard output."`
	Page       string `type:"path" placeholder:"FILE" help:"Draw the result on a page of HTML."`
	HDR        string `name:"hdr" type:"path" placeholder:"FILE" help:"Keep the latencies as a log of HdrHistograms."`
	Quiet      bool   `short:"q" help:"No progress."`
}

// Run runs the scenario and prints what it showed. A first interrupt ends it with
// the result so far, a second one at once.
func (c benchRunCmd) Run(ctx context.Context, std stdio) error {
	plan, err := c.plan()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	options := load.Options{Version: buildVersion(debug.ReadBuildInfo()).short()}
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
	readBack, err := c.readBack(ctx, plan, std)
	if err != nil {
		return err
	}
	if readBack != nil {
		options.Ledger = new(ledger.Ledger)
	}
	hard, stop, release := interruptible(ctx, std)
	defer release()
	options.Stop = stop
	run, err := load.Run(hard, plan, options)
	if err != nil {
		return err
	}
	run.Generator.Limit = limit
	if readBack != nil {
		if run.Verified, err = verify.Run(hard, *readBack, options.Ledger); err != nil {
			return fmt.Errorf("--verify: %w", err)
		}
	}
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

// report prints the result and keeps what was asked for.
func (c benchRunCmd) report(std stdio, run *benchresult.Run) error {
	if c.JSON == "-" {
		return std.json(run)
	}
	var failed []error
	if c.JSON != "" {
		failed = append(failed, report.WriteFile(c.JSON, run))
	}
	for _, f := range []struct {
		path  string
		write func(io.Writer, *benchresult.Run) error
	}{{c.Page, report.Page}, {c.HDR, report.HistogramLog}} {
		if f.path != "" {
			failed = append(failed, keep(f.path, func(w io.Writer) error { return f.write(w, run) }))
		}
	}
	return errors.Join(append(failed, report.Table(std.Out, run))...)
}

func keep(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// readBack is where --verify reads, nil when nothing is asked for. It looks whether
// that can be read at all: better now than after the run.
func (c benchRunCmd) readBack(ctx context.Context, plan *load.Plan, std stdio) (*verify.Options, error) {
	if c.Verify == "" {
		return nil, nil
	}
	o, err := verify.Parse(c.Verify)
	if err = errors.Join(err, plan.Traceable()); err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--verify: %w", err)}
	}
	if plan.Ack != "" && plan.Ack != event.AckStored.String() {
		return nil, &exitError{exitUsage, fmt.Errorf("--verify: what is answered %s may not be in the sink when the run ends: want --ack stored", plan.Ack)}
	}
	for _, t := range plan.Tenants {
		o.Tenants = append(o.Tenants, verify.Tenant{Name: t.Name, Key: t.Key})
	}
	o.URL = strings.TrimSuffix(plan.Target.URL, plan.Target.Path)
	o.Since = time.Now().Add(-time.Minute)
	if !c.Quiet {
		o.Progress = func(p verify.Progress) { fmt.Fprintf(std.Err, "reading back: %d of %d %s\n", p.Done, p.Of, p.What) }
	}
	if o.Start, err = verify.Mark(ctx, o); err != nil {
		return nil, fmt.Errorf("--verify: %w", err)
	}
	return &o, nil
}
