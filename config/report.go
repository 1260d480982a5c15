package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A report gathers what is wrong with one file.
type report struct {
	name     string
	lines    []string
	hidden   map[int]int // by line from 1: the column from which it is secret
	found    []finding
	warnings []finding
	failed   map[string]bool // paths with a finding: their values mean nothing
}

type finding struct {
	path    string
	at      mark
	message string
}

func newReport(name string, data []byte) *report {
	r := &report{
		name:   name,
		lines:  strings.Split(string(data), "\n"),
		hidden: map[int]int{},
		failed: map[string]bool{},
	}
	r.hideByWords()
	return r
}

// add reports one mistake, after which the value at path means nothing.
// Messages never hold the value of a secret.
func (r *report) add(path string, at mark, message string) {
	r.failed[path] = true
	r.note(path, at, message)
}

// note reports a mistake that leaves the value at path as it is.
func (r *report) note(path string, at mark, message string) {
	r.found = append(r.found, finding{path, at, message})
}

func (r *report) line(n int) string {
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return strings.TrimRight(r.lines[n-1], "\r")
}

// hide keeps the value n out of excerpts.
func (r *report) hide(n *node) {
	if n == nil {
		return
	}
	r.hideFrom(n.at.line, n.at.column)
	for i := 1; i <= n.lines; i++ {
		r.hideFrom(n.at.line+i, 1)
	}
	for _, item := range n.items {
		r.hide(item)
	}
	for _, e := range n.entries {
		r.hide(e.value)
	}
}

func (r *report) hideFrom(line, column int) {
	if before, ok := r.hidden[line]; !ok || column < before {
		r.hidden[line] = column
	}
}

var keyInLine = regexp.MustCompile(`([\p{L}\p{N}_-]+)["']?\s*:`)

// hideByWords hides what follows a key that sounds secret, line by line, and
// what is indented below it. It is coarser than hide, and works on a file that
// cannot be parsed.
func (r *report) hideByWords() {
	indent, open := -1, 0 // of the secret key above; brackets open since
	for i := range r.lines {
		line := r.line(i + 1)
		text := strings.TrimLeft(line, " \t")
		in := len(line) - len(text)
		if indent >= 0 && (open > 0 || text == "" || in > indent || in == indent && strings.HasPrefix(text, "-")) {
			r.hideFrom(i+1, len([]rune(line[:in]))+1)
			open += brackets(text)
			continue
		}
		indent = -1
		for _, m := range keyInLine.FindAllStringSubmatchIndex(line, -1) {
			if secretKey(line[m[2]:m[3]]) {
				r.hideFrom(i+1, len([]rune(line[:m[1]]))+2)
				indent, open = in, brackets(line[m[1]:])
				break
			}
		}
	}
}

func brackets(s string) int {
	return strings.Count(s, "[") + strings.Count(s, "{") - strings.Count(s, "]") - strings.Count(s, "}")
}

// secretKey reports whether the values of key are to be kept out of messages:
// those of passwords, tokens and API keys, misspelt ones too.
func secretKey(key string) bool {
	k := strings.ToLower(key)
	if strings.HasSuffix(k, "_file") || strings.HasSuffix(k, "space") {
		return false
	}
	for _, word := range []string{"pass", "secret", "token", "credential", "pwd", "private"} {
		if strings.Contains(k, word) {
			return true
		}
	}
	if k == "pw" || k == "key" || k == "keys" || strings.HasSuffix(k, "_key") || strings.HasSuffix(k, "-key") {
		return true
	}
	return distance(k, "password") <= 2 || distance(k, "token") <= 1 || distance(k, "keys") <= 1 && len(k) > 2
}

// excerpt shows the line of at, the one before it, and a caret.
func (r *report) excerpt(at mark) string {
	width := len(strconv.Itoa(at.line))
	var b strings.Builder
	for n := max(at.line-1, 1); n <= at.line; n++ {
		if n < at.line && strings.TrimSpace(r.line(n)) == "" {
			continue
		}
		text, _ := r.shown(n)
		fmt.Fprintf(&b, "  %*d | %s\n", width, n, text)
	}
	text, secret := r.shown(at.line)
	column, caret := at.column, at.width
	if secret > 0 && column >= secret {
		column, caret = secret, len(redacted)
	}
	length := len([]rune(text))
	column = min(column, length+1)
	caret = max(min(caret, length-column+1), 1)
	pad := []rune(text + " ")[:column-1]
	for i, c := range pad {
		if c != '\t' {
			pad[i] = ' '
		}
	}
	fmt.Fprintf(&b, "  %*s | %s%s", width, "", string(pad), strings.Repeat("^", caret))
	return b.String()
}

// maxShown bounds a line of an excerpt, in characters.
const maxShown = 160

// shown returns line n as it may be shown, and the column from which it is
// hidden, 0 if it is not.
func (r *report) shown(n int) (string, int) {
	text := []rune(strings.ToValidUTF8(r.line(n), "\uFFFD"))
	for i, c := range text {
		if c != '\t' && !strconv.IsPrint(c) {
			text[i] = '\uFFFD' // a terminal must not be steered by a file
		}
	}
	from, ok := r.hidden[n]
	if ok && from <= len(text) {
		return string(text[:from-1]) + redacted, from
	}
	if len(text) > maxShown {
		return string(text[:maxShown]) + "…", 0
	}
	return string(text), 0
}

// problems returns the findings in the order of the file, each once.
func (r *report) problems(found []finding) []Problem {
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	found = slices.Compact(found)
	problems := make([]Problem, len(found))
	for i, f := range found {
		problems[i] = Problem{
			File: r.name, Line: f.at.line, Column: f.at.column,
			Path: f.path, Message: f.message, Excerpt: r.excerpt(f.at),
		}
	}
	return problems
}
