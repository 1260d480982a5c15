package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"sluice/config"
)

// maxFile bounds a scenario.
const maxFile = 1 << 20

// Read reads a scenario file. Relative paths in it start at its folder.
func Read(path string) (*Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the scenario: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the scenario: %w", err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s: larger than %s, which no scenario is", path, config.Size(maxFile))
	}
	return Parse(data, path)
}

// Parse reads a scenario that is called name in messages.
func Parse(data []byte, name string) (*Scenario, error) {
	s := Default()
	s.Name = ""
	decoder := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := decoder.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, placed(name, err)
	}
	if reflect.DeepEqual(s, &Scenario{}) {
		s = Default() // the library empties what an empty file is read into
		s.Name = ""
	}
	if s.Name == "" {
		base := filepath.Base(name)
		s.Name = base[:len(base)-len(filepath.Ext(base))]
	}
	if problem := s.check(); problem != nil {
		return nil, problem.in(data, name)
	}
	dir := filepath.Dir(name)
	for _, path := range s.paths() {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	return s, nil
}

// paths are the fields that name files.
func (s *Scenario) paths() []*string {
	list := []*string{&s.TLS.CAFile, &s.KeyFile, &s.Load.Arrivals, &s.Events.File}
	for i := range s.Tenants {
		list = append(list, &s.Tenants[i].KeyFile)
	}
	return list
}

// A problem is a value that is understood and cannot be.
type problem struct {
	path    string // as load.rate
	message string
}

func (p *problem) Error() string { return p.path + ": " + p.message }

// in returns the problem with its place in the file: that of the value, or else of
// what it should have been in.
func (p *problem) in(data []byte, name string) error {
	for at := p.path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		path, err := yaml.PathString("$." + at)
		if err != nil {
			break
		}
		node, err := path.ReadNode(bytes.NewReader(data))
		if err == nil && node != nil && node.GetToken() != nil {
			return placed(name, &yaml.SyntaxError{Message: p.Error(), Token: node.GetToken()})
		}
	}
	return fmt.Errorf("%s: %w", name, p)
}

// placed writes an error of the YAML library as the configuration's are written:
// file:line:column: what is wrong, and an excerpt.
func placed(name string, err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil || e.GetToken().Position == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, excerpt, _ := strings.Cut(yaml.FormatError(e, false, true), "\n")
	at := e.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s\n%s", name, at.Line, at.Column, e.GetMessage(), strings.TrimRight(excerpt, " \n"))
}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *Size) UnmarshalYAML(n ast.Node) error {
	v, err := config.ParseSize(text(n))
	return at(n, (*config.Size)(s), v, err)
}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (d *Duration) UnmarshalYAML(n ast.Node) error {
	v, err := config.ParseDuration(text(n))
	return at(n, (*config.Duration)(d), v, err)
}

// UnmarshalText reads the size from a command line.
func (s *Size) UnmarshalText(b []byte) error {
	v, err := config.ParseSize(string(b))
	*s = Size(v)
	return err
}

// UnmarshalText reads the duration from a command line.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := config.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

func text(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	if _, ok := n.(ast.ScalarNode); ok {
		return n.GetToken().Value
	}
	return ""
}

func at[T any](n ast.Node, into *T, v T, err error) error {
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	*into = v
	return nil
}
