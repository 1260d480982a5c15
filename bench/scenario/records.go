package scenario

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/bench/load"
	"sluice/config"
)

// Bounds of a file of events: they are kept in memory.
const (
	maxRecord  = 16 << 20
	maxRecords = 1 << 30
)

// readRecords reads NDJSON.
func readRecords(path string, rewrite bool) ([]load.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("events.file: %w", err)
	}
	defer f.Close()
	in, end, err := unpack(f)
	if err != nil {
		return nil, fmt.Errorf("events.file: %s: %w", path, err)
	}
	defer end()
	var list []load.Record
	total := 0
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxRecord)
	n := 1
	for ; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if total += len(line); total > maxRecords {
			return nil, fmt.Errorf("events.file: %s: more than %s", path, config.Size(maxRecords))
		}
		r, err := record(bytes.Clone(line), rewrite)
		if err != nil {
			return nil, fmt.Errorf("events.file: %s:%d: %w", path, n, err)
		}
		list = append(list, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("events.file: %s:%d: %w", path, n, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("events.file: %s: %w", path, errNoRecords)
	}
	return list, nil
}

// unpack returns what is in a file that may be compressed.
func unpack(f io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReader(f)
	head, _ := in.Peek(4) // fewer bytes are no magic number
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		return z, func() {}, err
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return in, func() {}, nil
}

// record takes an event apart at its id and user, if those are to be replaced.
func record(line []byte, rewrite bool) (load.Record, error) {
	if !rewrite {
		if !json.Valid(line) {
			return load.Record{}, errors.New("not JSON")
		}
		return load.Record{Whole: line}, nil
	}
	id, user, err := spans(line)
	if err != nil {
		return load.Record{}, err
	}
	r := load.Record{UserFirst: user[0] < id[0]}
	first, second := id, user
	if r.UserFirst {
		first, second = user, id
	}
	r.Head, r.Middle, r.Tail = line[:first[0]], line[first[1]:second[0]], line[second[1]:]
	return r, nil
}

// spans finds the values of the top-level members id and user.
func spans(line []byte) (id, user [2]int, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return id, user, errors.New("not a JSON object")
	}
	var hasID, hasUser bool
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return id, user, errors.New("not JSON")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return id, user, errors.New("not JSON")
		}
		end := int(d.InputOffset())
		span := [2]int{end - len(value), end}
		switch name {
		case "id":
			id, hasID = span, true
		case "user":
			user, hasUser = span, true
		}
	}
	if !hasID || !hasUser {
		return id, user, errors.New("rewrite_id replaces the members id and user, and this event lacks one")
	}
	return id, user, nil
}
