package config

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A report gathers what is wrong with one file.
type report struct {
	name     string
	lines    []string
	hidden   map[int][]span // by line from 1
	seen     map[place]bool // keys whose values hide has hidden
	found    []finding
	warnings []finding
	failed   map[string]bool // paths with a finding: their values mean nothing
	veils    []veil
}

// A veil is a value that came from the environment, where secrets come from.
// Messages show what the file says instead.
type veil struct{ text, literal string }

type finding struct {
	path    string
	at      mark
	message string
}

func newReport(name string, data []byte) *report {
	return &report{
		name:   name,
		lines:  strings.Split(string(data), "\n"),
		hidden: map[int][]span{},
		seen:   map[place]bool{},
		failed: map[string]bool{},
	}
}

// add reports one mistake, after which the value at path means nothing.
// Messages never hold the value of a secret.
func (r *report) add(path string, at mark, message string) {
	r.failed[path] = true
	r.note(path, at, message)
}

// note reports a mistake that leaves the value at path as it is.
func (r *report) note(path string, at mark, message string) {
	for _, v := range r.veils {
		message = strings.ReplaceAll(message, strconv.Quote(shorten(v.text)), strconv.Quote(v.literal))
		if len(v.text) >= 8 {
			message = strings.ReplaceAll(message, v.text, v.literal)
		}
	}
	at.line = min(at.line, len(r.lines)) // the parser puts the end of some files one line further
	r.found = append(r.found, finding{path, at, message})
}

func (r *report) line(n int) string {
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return r.lines[n-1]
}

// A span is what is hidden of a line: columns from 1, to exclusive.
type span struct{ from, to int }

// A place is the line and column of a key, behind its quote if it has one.
type place struct{ line, column int }

// toEnd is the end of any line.
const toEnd = math.MaxInt

// hide keeps the value n of the key at key out of excerpts. The hash of an API
// key is no secret; what stands in its place by mistake may be one.
func (r *report) hide(key mark, n *node) {
	if n == nil || n.kind == null { // not understood, or not all of it: it may go on
		r.hidden[key.line] = append(r.hidden[key.line], span{key.column + key.width, toEnd})
		return
	}
	r.seen[place{key.line, key.column}] = true
	r.seen[place{key.line, key.column + 1}] = true
	if _, err := ParseKeyHash(n.text); n.kind == scalar && err != nil {
		to := n.at.column + n.at.width
		if n.lines > 0 {
			to = toEnd
		}
		r.hidden[n.at.line] = append(r.hidden[n.at.line], span{n.at.column, to})
		for i := 1; i <= n.lines; i++ {
			r.hidden[n.at.line+i] = append(r.hidden[n.at.line+i], span{1, toEnd})
		}
	}
	for _, item := range n.items {
		r.hide(key, item)
	}
	for _, e := range n.entries {
		r.hidden[e.at.line] = append(r.hidden[e.at.line], span{e.at.column, toEnd})
		r.hide(e.at, e.value)
	}
}

var keyInLine = regexp.MustCompile(`([\p{L}\p{N}_-]+)["']?\s*:`)

// hideByWords hides what follows a key that sounds secret, line by line, and
// what is indented below it, unless hide has seen that key: what is left are
// comments, keys that a mistake has made part of something else, and files that
// cannot be parsed.
func (r *report) hideByWords() {
	indent, open := -1, 0 // of the secret key above; brackets open since
	for i := range r.lines {
		line := r.line(i + 1)
		text := strings.TrimLeft(line, " \t")
		in := len(line) - len(text)
		if indent >= 0 && (open > 0 || text == "" || in > indent || in == indent && strings.HasPrefix(text, "-")) {
			r.hideFrom(i+1, line, in)
			open += brackets(text)
			continue
		}
		indent = -1
		for _, m := range keyInLine.FindAllStringSubmatchIndex(line, -1) {
			column := utf8.RuneCountInString(line[:m[2]]) + 1
			if secretKey(line[m[2]:m[3]]) && !r.seen[place{i + 1, column}] {
				r.hideFrom(i+1, line, m[1])
				indent, open = in, brackets(line[m[1]:])
				break
			}
		}
	}
}

// hideFrom hides what begins at a byte of a line.
func (r *report) hideFrom(n int, line string, at int) {
	at += len(line[at:]) - len(strings.TrimLeft(line[at:], " \t"))
	r.hidden[n] = append(r.hidden[n], span{utf8.RuneCountInString(line[:at]) + 1, toEnd})
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
	if before, _ := r.shown(at.line-1, mark{}); strings.TrimSpace(string(before)) != "" {
		text, _ := window(before, 1)
		fmt.Fprintf(&b, "  %*d | %s\n", width, at.line-1, string(text))
	}
	text, at := r.shown(at.line, at)
	at.column = min(at.column, len(text)+1)
	at.width = max(min(at.width, len(text)-at.column+1, maxShown/2), 1)
	text, offset := window(text, at.column)
	fmt.Fprintf(&b, "  %*d | %s\n", width, at.line, string(text))
	pad := slices.Clone(text[:at.column-1-offset])
	for i, c := range pad {
		if c != '\t' {
			pad[i] = ' '
		}
	}
	fmt.Fprintf(&b, "  %*s | %s%s", width, "", string(pad), strings.Repeat("^", at.width))
	return b.String()
}

// shown returns line n as it may be shown, and where at is in it: a terminal is
// not steered by it, and what is secret is not in it.
func (r *report) shown(n int, at mark) ([]rune, mark) {
	text := []rune(strings.ToValidUTF8(r.line(n), "\uFFFD"))
	for i, c := range text {
		if c != '\t' && !strconv.IsPrint(c) {
			text[i] = '\uFFFD'
		}
	}
	spans := slices.Clone(r.hidden[n])
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []rune
	next, moved := 1, at // the first column that is not in out yet
	for _, s := range spans {
		s.from, s.to = max(s.from, next), min(s.to, len(text)+1)
		if s.from >= s.to {
			continue
		}
		out = append(append(out, text[next-1:s.from-1]...), []rune(redacted)...)
		switch {
		case at.column >= s.to:
			moved.column = at.column + len(out) - (s.to - 1)
		case at.column >= s.from:
			moved.column, moved.width = len(out)-len(redacted)+1, len(redacted)
		}
		next = s.to
	}
	return append(out, text[next-1:]...), moved
}

// maxShown bounds a line of an excerpt, in characters.
const maxShown = 160

// window cuts a long line to what is around column, and returns how many
// characters further left column is then.
func window(text []rune, column int) ([]rune, int) {
	if len(text) <= maxShown {
		return text, 0
	}
	from := max(0, min(column-1-maxShown/2, len(text)-maxShown))
	cut := slices.Clone(text[from : from+maxShown])
	if from > 0 {
		cut[0] = '…'
	}
	if from+maxShown < len(text) {
		cut[maxShown-1] = '…'
	}
	return cut, from
}

// maxProblems bounds what is said about one file. Nobody reads more, and a file
// of aliases can make any number of them.
const maxProblems = 200

// problems returns the findings in the order of the file, each once.
func (r *report) problems(found []finding) []Problem {
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	found = slices.Compact(found)
	if more := len(found) - maxProblems; more > 0 {
		found = append(found[:maxProblems:maxProblems], finding{at: found[maxProblems].at, message: fmt.Sprintf("and %d more mistakes from here on", more)})
	}
	problems := make([]Problem, len(found))
	for i, f := range found {
		problems[i] = Problem{
			File: r.name, Line: f.at.line, Column: f.at.column,
			Path: f.path, Message: f.message, Excerpt: r.excerpt(f.at),
		}
	}
	return problems
}
