// Package report shows what a run of a benchmark came to: as a table for the
// terminal, as one page of HTML, as a log of HdrHistograms, and as the JSON that
// all of them can be made of again.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sluice/bench/result"
)

// maxFile bounds what ReadFile takes: a day's samples are some 25 MiB.
const maxFile = 256 << 20

// ReadFile returns the run that WriteFile kept at path. A newer version, an unknown
// field and anything behind the value are errors: to show half of a result as if
// it were the whole misleads.
func ReadFile(path string) (*result.Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // says the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: more than %d MiB, which no result of sluice bench has", path, maxFile>>20)
	}
	run, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return run, nil
}

func parse(text []byte) (*result.Run, error) {
	var head struct{ Version *int }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, notJSON(text, err)
	}
	switch {
	case head.Version == nil || *head.Version < 1:
		return nil, errors.New(`not a result of sluice bench: it has no "version"`)
	case *head.Version > result.Version:
		return nil, fmt.Errorf("a result of version %d; this sluice reads up to %d: use a newer one", *head.Version, result.Version)
	}
	run := &result.Run{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(run); err != nil {
		return nil, fmt.Errorf("not a result of sluice bench: %w", err)
	}
	if run.Scenario == "" {
		return nil, errors.New("not a result of sluice bench: it names no scenario")
	}
	return run, nil
}

// notJSON says in which line the text stops being JSON.
func notJSON(text []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("not a result of sluice bench: %w", err)
	}
	before := text[:min(int(syntax.Offset), len(text))]
	return fmt.Errorf("line %d: not JSON: %w", 1+bytes.Count(before, []byte("\n")), err)
}

// WriteFile keeps run at path as indented JSON. What was there stays until the new
// file is whole.
func WriteFile(path string, run *result.Run) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("keep the result: %w", err)
		}
	}()
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(run); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
