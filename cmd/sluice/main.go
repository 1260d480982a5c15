// Command sluice is the event ingestion gateway and the tools around it. One
// file a subcommand; `sluice serve` is the composition root.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the gateway."`
	Check   checkCmd   `cmd:"" help:"Tell every mistake in a configuration."`
	Key     keyCmd     `cmd:"" help:"Make API keys."`
	Send    sendCmd    `cmd:"" help:"Send files of events."`
	Query   queryCmd   `cmd:"" help:"Read a user's events back."`
	Schema  schemaCmd  `cmd:"" help:"Make the tables of Cassandra sinks."`
	Bench   benchCmd   `cmd:"" help:"Measure what a gateway takes."`
	Version versionCmd `cmd:"" help:"Tell what this binary was built from."`
}

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// execute runs one command line and returns the exit code: 0 done, 1 failed, 2 wrong
// use.
func execute(ctx context.Context, args []string, std stdio) int {
	exit := -1
	parser, err := kong.New(&cli{},
		kong.Name("sluice"),
		kong.Description("Takes JSON events over HTTP, checks, orders and de-duplicates them, and writes them to Kafka, Cassandra or its own store."),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		fmt.Fprintln(std.Err, "sluice:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help
	}
	if err != nil {
		var wrong *kong.ParseError
		if errors.As(err, &wrong) {
			fmt.Fprintf(std.Err, "sluice: %v; see sluice --help\n", err)
			return exitUsage
		}
		return finish(std, err)
	}
	return finish(std, parsed.Run())
}
