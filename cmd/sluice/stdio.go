package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// stdio is where a subcommand reads and writes, so that a test can be there
// instead of a terminal. What a script may want goes to Out, the rest to Err.
type stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// json writes v to Out, indented, as --json does everywhere.
func (s stdio) json(v any) error {
	enc := json.NewEncoder(s.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// The exit codes of every subcommand.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// exitError ends the process with code. A nil err says that everything there
// was to say has been printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// finish says on std.Err what err has to say, if anything, and returns the
// exit code for it: that of an exitError, otherwise 1.
func finish(std stdio, err error) int {
	if err == nil {
		return exitDone
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitFailed, err}
	}
	if exit.err != nil {
		fmt.Fprintln(std.Err, "sluice:", err)
	}
	return exit.code
}
