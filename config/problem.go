package config

import (
	"fmt"
	"strings"
)

// Problem is one mistake and its place.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Path    string `json:"path"`   // the key, such as tenants.acme.budget.bytes
	Message string `json:"message"`
	Excerpt string `json:"excerpt"` // the line, the one before it and a caret; no secrets
}

// String returns the problem as a compiler would print it, excerpt included.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	return b.String()
}

// Error is everything that is wrong with a configuration, in the order of the
// file; at least one Problem.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Warnings returns what is allowed and probably not meant.
func (c *Config) Warnings() []Problem { return c.warnings }
