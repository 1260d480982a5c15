package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse holds Parse to its promises for any file: no panic, every mistake
// has a place in the file, and what a configuration is made of can be shown.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a, <<: *a]\n? {b: c}\n: |+2\n  x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, filepath.Join(t.TempDir(), "f"), environment)
		if err == nil {
			if _, err := c.Redacted().YAML(); err != nil {
				t.Error(err)
			}
			if len(c.Tenants) == 0 || MemoryBound(c) <= 0 {
				t.Error("a configuration of nothing passed")
			}
			return
		}
		var wrong *Error
		if !errors.As(err, &wrong) || len(wrong.Problems) == 0 {
			t.Fatalf("not an *Error: %v", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		for _, p := range wrong.Problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || p.Excerpt == "" {
				t.Errorf("without a place: %+v", p)
			}
			if p.Line > lines {
				t.Errorf("line %d of %d: %s", p.Line, lines, p.Message)
			}
			if strings.Contains(p.String(), "hunter2-env") {
				t.Errorf("it shows what the environment holds: %s", p)
			}
		}
	})
}
