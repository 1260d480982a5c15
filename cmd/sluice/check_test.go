package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"sluice/config"
)

// runner is a subcommand.
type runner interface {
	Run(ctx context.Context, std stdio) error
}

// result is what a subcommand left behind.
type result struct {
	code     int
	out, err string
}

func runCommand(t *testing.T, c runner) result {
	t.Helper()
	var out, errs bytes.Buffer
	std := stdio{In: strings.NewReader(""), Out: &out, Err: &errs}
	code := finish(std, c.Run(t.Context(), std))
	return result{code, out.String(), errs.String()}
}

// configFile writes a configuration for the test.
func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodFile = `
sinks:
  bus: {kind: kafka, brokers: ["kafka:9092"]}
  store: {kind: cassandra}
tenants:
  acme: {keys: ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"], sink: [bus, store]}
`

func TestCheckSaysWhatAGoodFileComesTo(t *testing.T) {
	path := configFile(t, goodFile)
	got := runCommand(t, checkCmd{Config: path})
	want := path + `: ok
sink    bus    kafka, topic raw_events at kafka:9092
sink    store  cassandra, table sluice.events at 127.0.0.1, QUORUM
tenant  acme   1 key, to bus and store, ack stored; at most 128 MiB in flight and 128 MiB of users
memory         at most 256 MiB for tenants, and some 200 MiB for the process
`
	if got.code != 0 || got.out != want || got.err != "" {
		t.Errorf("got %d\n%s%s\nwant\n%s", got.code, got.out, got.err, want)
	}
}

func TestCheckSaysEveryMistake(t *testing.T) {
	got := runCommand(t, checkCmd{Config: configFile(t, "dta: {}\ntenants: {acme: {keys: [x], pools: {parsers: 0}}}\n")})
	for _, want := range []string{
		`sluice.yaml:1:1: dta: unknown key (did you mean "data"?)`,
		`sluice.yaml:2:25: tenants.acme.keys[0]: want sha256:`,
		`sluice.yaml:2:37: tenants.acme.pools.parsers: want 1 to 1024, got 0`,
		"1 | dta: {}\n    | ^^^\n",
		"3 mistakes\n",
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("it does not say %q:\n%s", want, got.err)
		}
	}
	if got.code != 1 || got.out != "" {
		t.Errorf("got %d, %q", got.code, got.out)
	}
}

func TestCheckOfNoFile(t *testing.T) {
	got := runCommand(t, checkCmd{Config: filepath.Join(t.TempDir(), "nowhere")})
	if got.code != 1 || strings.Count(got.err, "\n") != 1 || !strings.HasSuffix(got.err, "nowhere: no such file or directory\n") {
		t.Errorf("got %d\n%s", got.code, got.err)
	}
}

func TestCheckJSON(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		code       int
		problems   int
	}{
		{"a good file", configFile(t, goodFile), 0, 0},
		{"a bad file", configFile(t, "dta: {}\n"), 1, 2},
		{"no file", filepath.Join(t.TempDir(), "nowhere"), 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runCommand(t, checkCmd{Config: tc.path, JSON: true})
			var r struct {
				OK       bool
				Problems []config.Problem
				Warnings []config.Problem
				Memory   int64 `json:"memory_bound_bytes"`
			}
			if err := json.Unmarshal([]byte(got.out), &r); err != nil {
				t.Fatalf("%v in %s", err, got.out)
			}
			if got.code != tc.code || r.OK != (tc.code == 0) || len(r.Problems) != tc.problems || r.Problems == nil || r.Warnings == nil {
				t.Errorf("got %d %s", got.code, got.out)
			}
			if r.OK && r.Memory != 256<<20 {
				t.Errorf("the bound is %d", r.Memory)
			}
		})
	}
}

func TestCheckWarns(t *testing.T) {
	got := runCommand(t, checkCmd{Config: configFile(t, `admin: {listen: ":8081"}`+goodFile)})
	if got.code != 0 || !strings.Contains(got.err, "admin.listen: warning: :8081 is open to others") {
		t.Errorf("got %d\n%s", got.code, got.err)
	}
}

func TestKeyNew(t *testing.T) {
	first, second := runCommand(t, keyNewCmd{}), runCommand(t, keyNewCmd{})
	lines := strings.Split(first.out, "\n")
	if len(lines) != 3 || !regexp.MustCompile(`^slk_[A-Za-z0-9_-]{43}$`).MatchString(lines[0]) {
		t.Fatalf("got %q", first.out)
	}
	if want := config.HashKey(lines[0]).String(); lines[1] != want {
		t.Errorf("the hash is %s, want %s", lines[1], want)
	}
	if first.out == second.out {
		t.Error("the same key twice")
	}
	var asJSON struct{ Key, Hash string }
	if err := json.Unmarshal([]byte(runCommand(t, keyNewCmd{JSON: true}).out), &asJSON); err != nil {
		t.Fatal(err)
	}
	if config.HashKey(asJSON.Key).String() != asJSON.Hash {
		t.Errorf("got %+v", asJSON)
	}
	t.Run("its line is what check wants", func(t *testing.T) {
		if got := runCommand(t, checkCmd{Config: configFile(t, `tenants: {a: {keys: ["`+lines[1]+`"]}}`)}); got.code != 0 {
			t.Errorf("got %d\n%s", got.code, got.err)
		}
	})
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got := buildVersion(info, true).String(); !strings.HasPrefix(got, "sluice v1.2.3 (commit 0123456789ab, 2026-01-02T03:04:05Z, modified) go") {
		t.Errorf("got %s", got)
	}
	if got := buildVersion(nil, false).String(); !strings.HasPrefix(got, "sluice (devel) go") {
		t.Errorf("got %s", got)
	}
	var v version
	if err := json.Unmarshal([]byte(runCommand(t, versionCmd{JSON: true}).out), &v); err != nil || v.Go == "" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestExitCodes(t *testing.T) {
	wrong := errors.New("wrong")
	for _, tc := range []struct {
		name string
		err  error
		code int
		said string
	}{
		{"done", nil, 0, ""},
		{"any error is a failure", wrong, 1, "sluice: wrong\n"},
		{"wrong use", &exitError{exitUsage, wrong}, 2, "sluice: wrong\n"},
		{"what was said already is not said again", &exitError{code: exitFailed}, 1, ""},
	} {
		var errs bytes.Buffer
		if code := finish(stdio{Err: &errs}, tc.err); code != tc.code || errs.String() != tc.said {
			t.Errorf("%s: got %d, %q", tc.name, code, errs.String())
		}
	}
}
