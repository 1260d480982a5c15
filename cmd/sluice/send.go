package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice/config"
	"sluice/event"
)

// sendCmd is `sluice send`; docs/send.md is its manual.
type sendCmd struct {
	Inputs []string `arg:"" name:"file" help:"Files or globs of NDJSON or JSON, plain, gzip or zstd; - is the standard input."`

	URL     string        `name:"url" default:"http://127.0.0.1:8080" help:"The gateway."`
	Key     string        `env:"SLUICE_KEY" placeholder:"KEY" help:"API key. Better from the environment or a file: other users of the machine see a command line."`
	KeyFile string        `type:"path" placeholder:"FILE" help:"File with the API key."`
	Ack     string        `enum:",stored,journaled,received" default:"" placeholder:"LEVEL" help:"What an answer promises: stored, journaled or received. The tenant's default without it."`
	Timeout time.Duration `default:"30s" help:"Longest wait for one answer."`
	GiveUp  time.Duration `default:"5m" help:"Stop when nothing was accepted for so long."`

	Format      string   `enum:"auto,ndjson,json" default:"auto" help:"Of the input: auto, ndjson, or json (an array, or objects of any layout)."`
	UserPointer string   `default:"/user" placeholder:"POINTER" help:"Where an event holds its user, as fields.user of the tenant."`
	IDPointer   string   `name:"id-pointer" default:"/id" placeholder:"POINTER" help:"Where an event holds its id, as fields.id of the tenant."`
	AssignIDs   bool     `name:"assign-ids" help:"Write an id into events that have none, always the same for the same event of the same file."`
	MaxEvent    sizeFlag `default:"256KiB" help:"An event larger than this is reported, not sent."`
	Batch       int      `default:"500" help:"Events in a request, at most 1000."`
	BatchBytes  sizeFlag `default:"1MiB" help:"Bytes of events in a request."`
	Concurrency int      `default:"4" help:"Requests at once. The events of one user stay in their order."`
	Compress    string   `enum:"auto,none,gzip,zstd" default:"auto" help:"Of requests: auto, none, gzip or zstd. auto is none to this machine, otherwise zstd."`
	Rate        float64  `placeholder:"N" help:"At most so many events a second."`

	State  string `placeholder:"FILE" help:"Where to remember what is confirmed, or off. <file>.sluice-state beside each file without it."`
	Errors string `type:"path" placeholder:"FILE" help:"Write a line of JSON for each event that was not accepted."`
	JSON   bool   `name:"json" help:"Print the summary as JSON."`
	Quiet  bool   `short:"q" help:"No progress and no summary."`
}

// sizeFlag is a size on the command line, such as 256KiB.
type sizeFlag config.Size

// UnmarshalText implements encoding.TextUnmarshaler, which kong looks for.
func (s *sizeFlag) UnmarshalText(text []byte) error {
	size, err := config.ParseSize(string(text))
	*s = sizeFlag(size)
	return err
}

// Run sends all inputs. It returns nil when every event was accepted.
//
// A first interrupt, or the end of ctx, stops sending: answers under way are
// waited for and the state is saved. A second one ends the process.
func (c sendCmd) Run(ctx context.Context, std stdio) error {
	s, err := c.prepare(std)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		case <-over:
			return
		}
		fmt.Fprintln(s.std.Err, "stopping: waiting for the answers under way; interrupt again to end at once")
		s.stop(errInterrupted)
		select {
		case <-signals:
			cut()
		case <-over:
		}
	}()
	return s.run(hard)
}

// prepare checks the command line and opens nothing but small files.
func (c sendCmd) prepare(std stdio) (*sender, error) {
	target, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	key, err := givenKey(c.Key, c.KeyFile)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Batch < 1 || c.Batch > 1000:
		return nil, fmt.Errorf("--batch is %d: it has to be 1 to 1000, so that an answer can name every event of a request", c.Batch)
	case c.Concurrency < 1 || c.Concurrency > 256:
		return nil, fmt.Errorf("--concurrency is %d: it has to be 1 to 256", c.Concurrency)
	case c.MaxEvent < 2 || c.BatchBytes < 2:
		return nil, errors.New("--max-event and --batch-bytes have to be sizes such as 256KiB")
	case c.Timeout <= 0 || c.GiveUp <= 0:
		return nil, errors.New("--timeout and --give-up have to be times such as 30s")
	case c.Rate < 0:
		return nil, errors.New("--rate cannot be negative")
	}
	fields := event.DefaultFields()
	fields.User, fields.ID = c.UserPointer, c.IDPointer
	limits := event.Limits{MaxEvent: int(c.MaxEvent), MaxEvents: 1, MaxDepth: 1 << 20}
	parser, err := event.NewParser(fields, limits)
	if err != nil {
		return nil, fmt.Errorf("--user-pointer or --id-pointer: %w", err)
	}
	inputs, err := sendInputs(c.Inputs, std.In)
	if err != nil {
		return nil, err
	}
	return newSender(c, std, target, key, fields, parser, inputs), nil
}

// endpoint is the URL that events are posted to.
func (c sendCmd) endpoint() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("--url is %q: want one such as http://127.0.0.1:8080", c.URL)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if !strings.HasSuffix(u.Path, "/v1/events") {
		u = u.JoinPath("v1", "events")
	}
	if c.Ack != "" {
		q := u.Query()
		q.Set("ack", c.Ack)
		u.RawQuery = q.Encode()
	}
	return u, nil
}

// compression resolves auto: within one machine it only costs.
func (c sendCmd) compression(target *url.URL) string {
	if c.Compress != "auto" {
		return c.Compress
	}
	ip := net.ParseIP(target.Hostname())
	if target.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return "none"
	}
	return "zstd"
}

// destination names gateway and tenant in a state file, without the key.
func destination(target *url.URL, key string) string {
	sum := sha256.Sum256([]byte(key))
	return target.Scheme + "://" + target.Host + target.Path + " key " + hex.EncodeToString(sum[:4])
}

// sendInputs resolves names and globs into files, in the order given.
func sendInputs(names []string, stdin interface{ Read([]byte) (int, error) }) ([]*sendInput, error) {
	var inputs []*sendInput
	for _, name := range names {
		if name == "-" {
			if slices.ContainsFunc(inputs, func(in *sendInput) bool { return in.path == "" }) {
				return nil, errors.New("the standard input can be read only once")
			}
			inputs = append(inputs, &sendInput{name: "standard input", stdin: stdin, size: -1})
			continue
		}
		matches := []string{name}
		if _, err := os.Stat(name); err != nil {
			if !errors.Is(err, os.ErrNotExist) || !strings.ContainsAny(name, "*?[") {
				return nil, err
			}
			if matches, err = filepath.Glob(name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			matches = slices.DeleteFunc(matches, func(m string) bool {
				return strings.HasSuffix(strings.TrimSuffix(m, lockSuffix), stateSuffix)
			})
			if len(matches) == 0 {
				return nil, fmt.Errorf("%s: no file matches", name)
			}
		}
		for _, m := range matches {
			in, err := newFileInput(m)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, in)
		}
	}
	return inputs, nil
}
