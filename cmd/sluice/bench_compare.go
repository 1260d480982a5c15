package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/bench/compare"
)

// benchCompareCmd is `sluice bench compare`: two sets of repeated runs against
// each other.
type benchCompareCmd struct {
	A     string `arg:"" help:"Runs of before: files that sluice bench has kept, with commas between, or a folder of them."`
	B     string `arg:"" help:"Runs of now."`
	Limit string `default:"5%" placeholder:"PERCENT" help:"How much worse B may be. It exits 1 when a figure is worse than that, and surely so."`
	Force bool   `help:"Compare runs of different scenarios or loads, too."`
	JSON  bool   `name:"json" help:"Print the comparison as JSON."`
}

// Run prints what changed.
func (c benchCompareCmd) Run(_ context.Context, std stdio) error {
	limit, err := parsePercent(c.Limit)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--limit: %w", err)}
	}
	a, err := compare.Read(c.A)
	if err != nil {
		return err
	}
	b, err := compare.Read(c.B)
	if err != nil {
		return err
	}
	found, err := compare.Compare(a, b, limit, c.Force)
	var different *compare.DifferentError
	if errors.As(err, &different) {
		return &exitError{exitUsage, fmt.Errorf("the runs are not of the same work (--force compares them all the same):\n  %s", strings.Join(different.Differences, "\n  "))}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = std.json(found)
	} else {
		err = found.Text(std.Out)
	}
	if err == nil && found.Failed() {
		err = &exitError{exitFailed, nil} // the table says why
	}
	return err
}

// parsePercent reads "5", "5%" and "2.5 %" as a share of 1.
func parsePercent(s string) (float64, error) {
	p, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "%")), 64)
	if err != nil || !(p >= 0 && p < 100) {
		return 0, fmt.Errorf("it is %q; want a percentage from 0 to below 100, such as 5%%", s)
	}
	return p / 100, nil
}
