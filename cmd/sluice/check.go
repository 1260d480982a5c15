package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"sluice/config"
)

// checkCmd is `sluice check`.
type checkCmd struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"Configuration to check."`
	JSON   bool   `name:"json" help:"Print the result as JSON."`
}

// checked is the result as --json prints it.
type checked struct {
	File     string           `json:"file"`
	OK       bool             `json:"ok"`
	Problems []config.Problem `json:"problems"`
	Warnings []config.Problem `json:"warnings"`
	Sinks    []checkedSink    `json:"sinks,omitempty"`
	Tenants  []checkedTenant  `json:"tenants,omitempty"`
	Memory   int64            `json:"memory_bound_bytes,omitempty"`
}

type checkedSink struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Where string `json:"where"`
}

type checkedTenant struct {
	Name     string   `json:"name"`
	Keys     int      `json:"keys"`
	Sinks    []string `json:"sinks"`
	Ack      string   `json:"ack"`
	InFlight int64    `json:"in_flight_bound_bytes"`
	Users    int64    `json:"users_bound_bytes"`
}

// Run prints everything that is wrong with the file, or what it comes to.
func (c checkCmd) Run(_ context.Context, std stdio) error {
	r := checkFile(c.Config)
	if c.JSON {
		if err := std.json(r); err != nil {
			return err
		}
	} else {
		r.print(std)
	}
	if !r.OK {
		return &exitError{code: exitFailed}
	}
	return nil
}

func checkFile(path string) checked {
	r := checked{File: path, Problems: []config.Problem{}, Warnings: []config.Problem{}}
	cfg, err := config.Load(path, os.LookupEnv)
	var wrong *config.Error
	switch {
	case errors.As(err, &wrong):
		r.Problems = wrong.Problems
	case err != nil:
		r.Problems = []config.Problem{{File: path, Message: err.Error()}}
	default:
		r.OK = true
		r.summarize(cfg)
	}
	return r
}

func (r *checked) summarize(cfg *config.Config) {
	if w := cfg.Warnings(); len(w) > 0 {
		r.Warnings = w
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Sinks)) {
		s := cfg.Sinks[name]
		r.Sinks = append(r.Sinks, checkedSink{name, s.Kind, where(cfg, s)})
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		t := cfg.Tenants[name]
		part := config.MemoryOf(t)
		r.Tenants = append(r.Tenants, checkedTenant{
			Name: name, Keys: len(t.Keys), Sinks: t.Sink, Ack: t.Ack.Default.String(),
			InFlight: int64(part.InFlight), Users: int64(part.Users),
		})
	}
	r.Memory = int64(config.MemoryBound(cfg))
}

// where says where the sink's events are to be found.
func where(cfg *config.Config, s config.Sink) string {
	switch {
	case s.Kafka != nil:
		return fmt.Sprintf("topic %s at %s", s.Kafka.Topic, strings.Join(s.Kafka.Brokers, ", "))
	case s.Cassandra != nil:
		return fmt.Sprintf("table %s.%s at %s, %s", s.Cassandra.Keyspace, s.Cassandra.Table,
			strings.Join(s.Cassandra.Hosts, ", "), s.Cassandra.Consistency)
	default:
		return "folder " + cfg.Dir
	}
}

func (r *checked) print(std stdio) {
	for _, p := range r.Problems {
		if p.Line == 0 { // the file could not be read at all
			fmt.Fprintln(std.Err, "sluice:", p.Message)
			return
		}
		fmt.Fprintln(std.Err, p)
	}
	for _, w := range r.Warnings {
		w.Message = "warning: " + w.Message
		fmt.Fprintln(std.Err, w)
	}
	if !r.OK {
		fmt.Fprintf(std.Err, "%s: %s\n", r.File, count(len(r.Problems), "mistake"))
		return
	}
	fmt.Fprintf(std.Out, "%s: ok\n", r.File)
	w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, s := range r.Sinks {
		fmt.Fprintf(w, "sink\t%s\t%s, %s\n", s.Name, s.Kind, s.Where)
	}
	for _, t := range r.Tenants {
		fmt.Fprintf(w, "tenant\t%s\t%s, to %s, ack %s; at most %s in flight and %s of users\n", t.Name, count(t.Keys, "key"),
			strings.Join(t.Sinks, " and "), t.Ack, config.Size(t.InFlight).About(), config.Size(t.Users).About())
	}
	fmt.Fprintf(w, "memory\t\tat most %s for tenants, and some 200 MiB for the process\n", config.Size(r.Memory).About())
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
