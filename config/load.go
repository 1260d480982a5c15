package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// Load reads the configuration file at path. An environment variable is looked
// up with env, which is os.LookupEnv outside of tests. The error is an *Error
// with everything that is wrong, unless the file itself could not be read.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("cannot read the configuration: %s is a folder", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return Parse(data, path, env)
}

// Parse reads a configuration that is called name in messages; relative paths
// in it start at name's folder. Its error is an *Error.
func Parse(data []byte, name string, env func(string) (string, bool)) (*Config, error) {
	tooLarge := len(data) > maxFile
	data = bytes.TrimPrefix(data[:min(len(data), maxFile)], []byte("\xEF\xBB\xBF")) // what some editors begin a file with
	// One kind of line end, so that everybody counts the same lines.
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	r := newReport(name, data)
	c := builtin()
	switch at, message := unreadable(data); {
	case tooLarge:
		r.add("", mark{1, 1, 1}, fmt.Sprintf("larger than %s, which no configuration is", Size(maxFile)))
	case message != "":
		r.hideByWords()
		r.add("", at, message)
	default:
		parseInto(c, data, r, env, filepath.Dir(name))
	}
	if len(r.found) > 0 {
		return nil, &Error{Problems: r.problems(r.found)}
	}
	c.warnings = r.problems(r.warnings)
	return c, nil
}

func parseInto(c *Config, data []byte, r *report, env func(string) (string, bool), dir string) {
	t := &tree{env: env, report: r, anchors: map[string]*node{}}
	root := t.parse(data)
	if root == nil {
		return
	}
	d := &decoder{report: r, tree: t, places: map[string]mark{}}
	if !d.config(root, c) {
		return
	}
	if len(c.Sinks) == 0 && !r.failed["sinks"] {
		c.Sinks = map[string]Sink{"local": localSink()}
	}
	k := &checker{c: c, report: r, places: d.places, end: root.at}
	k.files(dir)
	k.config()
}

// unreadable says what is wrong with a file that is no text.
func unreadable(data []byte) (mark, string) {
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		switch {
		case c == utf8.RuneError && size == 1:
			return mark{line, column, 1}, "not UTF-8"
		case c == 0:
			return mark{line, column, 1}, "a zero byte; this is no text"
		case c == '\n':
			line, column = line+1, 0
		}
		rest, column = rest[size:], column+1
	}
	return mark{}, ""
}

// maxSecret bounds a file that holds a password or token.
const maxSecret = 64 << 10

// readSecret returns what the file holds, without the white space around it.
func readSecret(path string) (Secret, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSecret:
		return "", fmt.Errorf("larger than %s", Size(maxSecret))
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return "", errors.New("the file is empty")
	}
	return Secret(data), nil
}

// openRegular opens a file for reading, and nothing that could block or never
// end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	return f, nil
}
