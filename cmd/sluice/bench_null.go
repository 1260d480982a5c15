package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"sluice/bench/load"
)

// benchNullCmd is `sluice bench null`: a server that does nothing, as a process of
// its own. It prints its address and ends with its standard input.
type benchNullCmd struct {
	Batch int `default:"1" help:"Events that a request has."`
}

// Run serves until the standard input ends.
func (c benchNullCmd) Run(ctx context.Context, std stdio) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		var b [1]byte
		for {
			if _, err := std.In.Read(b[:]); err != nil {
				return
			}
		}
	}()
	fmt.Fprintln(std.Out, l.Addr())
	return load.ServeNull(ctx, l, c.Batch)
}

// limitTime is how long the generator's own limit is measured.
const limitTime = 3 * time.Second

// measureLimit returns how many events a second the plan's requests come to, one
// behind the other on each of its connections, against a server that does nothing.
func measureLimit(ctx context.Context, plan *load.Plan) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "bench", "null", "--batch", fmt.Sprint(plan.Events.Batch))
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait() //nolint:errcheck // it was told to end
	defer in.Close()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, errors.New("the server that does nothing did not start")
	}
	p := *plan
	p.Target.Address, p.Target.TLS = strings.TrimSpace(address), nil
	p.Open, p.Knee, p.Count, p.Warmup, p.For = nil, nil, 0, time.Second, limitTime
	run, err := load.Run(ctx, &p, load.Options{})
	if err != nil {
		return 0, err
	}
	return run.Totals.EventsPerS, nil
}
