package main

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the process that tests kill: with SLUICE_TEST_SEND set the
// binary runs `sluice send` with its arguments.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_TEST_SEND") != "" {
		std := stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
		cmd, err := parseSend(os.Args[1:]...)
		if err == nil {
			err = cmd.Run(context.Background(), std)
		}
		os.Exit(finish(std, err))
	}
	goleak.VerifyTestMain(m)
}
