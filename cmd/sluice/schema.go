package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sluice/config"
	"sluice/sinks/cassandra"
)

// schemaCmd is `sluice schema`.
type schemaCmd struct {
	Apply schemaApplyCmd `cmd:"" help:"Make keyspace and tables where they are missing, and compare those that are there."`
	Print schemaPrintCmd `cmd:"" help:"Print the CQL, for those who apply it themselves."`
}

// schemaFlags say which sinks are meant.
type schemaFlags struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"Configuration."`
	Sink   string `help:"Name of one Cassandra sink. Without it: all of them."`
}

// targets returns the Cassandra sinks that are meant, by name.
func (f schemaFlags) targets() (names []string, cfg *config.Config, err error) {
	cfg, err = config.Load(f.Config, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Sinks)) {
		if cfg.Sinks[name].Cassandra != nil && (f.Sink == "" || f.Sink == name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil, &exitError{exitUsage, fmt.Errorf("%s has no Cassandra sink%s", f.Config, quotedIf(f.Sink))}
	}
	return names, cfg, nil
}

func quotedIf(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" called %q", name)
}

// schemaApplyCmd is `sluice schema apply`.
type schemaApplyCmd struct {
	schemaFlags
	Timeout time.Duration `default:"1m" help:"How long to try."`
}

// Run applies the schema of each sink.
func (c schemaApplyCmd) Run(ctx context.Context, std stdio) error {
	names, cfg, err := c.targets()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for _, name := range names {
		if err := applySchema(ctx, cfg.Sinks[name]); err != nil {
			return fmt.Errorf("sink %q: %w", name, err)
		}
		fmt.Fprintf(std.Out, "sink %s: keyspace and tables are there\n", name)
	}
	return nil
}

func applySchema(ctx context.Context, s config.Sink) error {
	cluster, err := cassandra.Open(cassandraConfig(s), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = cluster.ApplySchema(ctx)
	if e := cluster.Close(ctx); err == nil {
		err = e
	}
	return err
}

// schemaPrintCmd is `sluice schema print`.
type schemaPrintCmd struct{ schemaFlags }

// Run prints the schema of each sink.
func (c schemaPrintCmd) Run(_ context.Context, std stdio) error {
	names, cfg, err := c.targets()
	if err != nil {
		return err
	}
	for _, name := range names {
		for _, statement := range cassandra.Schema(cassandraConfig(cfg.Sinks[name])) {
			fmt.Fprintln(std.Out, strings.TrimSuffix(statement, ";")+";")
		}
	}
	return nil
}
