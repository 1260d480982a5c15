package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a configuration file. They are far above any real one; what they
// keep out is a file that is small and yet takes a parser minutes or gigabytes.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 64      // of nesting
	maxNodes = 100_000 // visited, each use of an alias counted anew
	maxVeils = 1000    // values from the environment
)

// A node is one YAML value, with aliases, merge keys and environment variables
// resolved. Nodes are shared by the aliases that point to them.
type node struct {
	kind    nodeKind
	text    string // of a scalar, after expansion
	literal string // of a scalar, as the file has it
	plain   bool   // a scalar without quotes, which may be a number or a bool
	env     bool   // a scalar that an environment variable is part of
	entries []entry
	items   []*node
	at      mark
	lines   int // lines of a scalar after its first
}

type nodeKind uint8

const (
	null nodeKind = iota
	scalar
	mapping
	sequence
)

func (k nodeKind) String() string {
	return [...]string{"nothing", "a single value", "keys with values", "a list"}[k]
}

type entry struct {
	key   string
	at    mark
	value *node
}

// A mark is a place in the file.
type mark struct{ line, column, width int } // line and column from 1; width in characters

// A tree builds nodes from a file.
type tree struct {
	env     func(string) (string, bool)
	report  *report
	anchors map[string]*node
	visited int
	secret  bool // below a key whose value is not to be shown
}

// parse returns the root node, or nil after it has reported why there is none.
func (t *tree) parse(data []byte) (root *node) {
	defer func() {
		// The parser is somebody else's code and reads what anybody wrote.
		if p := recover(); p != nil {
			t.report.hideByWords()
			t.report.add("", mark{1, 1, 1}, "not valid YAML")
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if at, deep := tooDeep(tokens); deep {
		t.report.hideByWords()
		t.report.add("", at, fmt.Sprintf("nested more than %d deep", maxDepth))
		return nil
	}
	// Duplicate keys are found below, so that all of them are reported.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		t.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType:
		case body != nil:
			t.report.add("", markOf(doc.Body.GetToken()), "a second document; a configuration is one")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return &node{kind: null, at: mark{1, 1, 1}}
	}
	root = t.build("", body, 0)
	t.report.hideByWords()
	return root
}

// tooDeep finds nesting that would take the parser quadratic time: the lexer
// is linear and sees it first.
func tooDeep(tokens token.Tokens) (mark, bool) {
	flow, line, run := 0, 0, 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.AnchorType, token.TagType:
			if tk.Position.Line != line {
				line, run = tk.Position.Line, 0
			}
			if flow <= 0 {
				run++
			}
		}
		if flow > maxDepth || run > maxDepth {
			return markOf(tk), true
		}
	}
	return mark{}, false
}

func (t *tree) syntax(err error) {
	t.report.hideByWords()
	at, message := mark{1, 1, 1}, "not valid YAML"
	if e, ok := err.(interface {
		GetToken() *token.Token
		GetMessage() string
	}); ok {
		if e.GetToken() != nil {
			at = markOf(e.GetToken())
		}
		// The parser's own words, unless they repeat what the file says.
		switch m := e.GetMessage(); {
		case strings.Contains(m, "'\t'"):
			message += ": a tab; YAML is indented with spaces"
		case !strings.ContainsAny(m, "\n\"`"):
			message += ": " + m
		}
	}
	if strings.Contains(t.report.line(at.line), "${") {
		message += `; inside [ ] and { } an environment variable needs quotes: "${NAME}"`
	}
	t.report.add("", at, message)
}

// build turns n into a node. It returns nil where that cannot be done, after
// it has reported why.
func (t *tree) build(path string, n ast.Node, depth int) *node {
	if depth > maxDepth {
		t.report.add(path, markOf(n.GetToken()), fmt.Sprintf("nested more than %d deep", maxDepth))
		return nil
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return t.mapping(path, n, depth)
	case *ast.SequenceNode:
		s := &node{kind: sequence, at: markOf(n.Start)}
		for i, v := range n.Values {
			s.items = append(s.items, t.build(fmt.Sprintf("%s[%d]", path, i), v, depth+1))
		}
		return s
	case *ast.AnchorNode:
		v := t.build(path, n.Value, depth+1)
		if v != nil {
			t.anchors[n.Name.GetToken().Value] = v
		}
		return v
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		v, ok := t.anchors[name]
		if !ok {
			t.report.add(path, markOf(n.Start), fmt.Sprintf("no anchor &%s before this alias", name))
		}
		return v
	case *ast.TagNode:
		t.report.add(path, markOf(n.Start), "tags such as "+n.Start.Value+" have no meaning here")
		return nil
	case *ast.NullNode:
		return &node{kind: null, at: markOf(n.Token)}
	case *ast.LiteralNode:
		return t.scalar(path, n.Value.Value, false, markOf(n.Start), strings.Count(n.Value.GetToken().Origin, "\n"))
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		return t.scalar(path, n.Value, !quoted, markOf(n.Token), strings.Count(strings.TrimSpace(n.Token.Origin), "\n"))
	case ast.ScalarNode: // numbers, bools: their text decides
		return t.scalar(path, n.GetToken().Value, true, markOf(n.GetToken()), 0)
	}
	t.report.add(path, markOf(n.GetToken()), "not understood here")
	return nil
}

func (t *tree) scalar(path, literal string, plain bool, at mark, lines int) *node {
	text, used, err := expand(literal, t.env)
	if err == nil && used && len(t.report.veils) >= maxVeils {
		err = fmt.Errorf("more than %d values from the environment", maxVeils)
	}
	if err != nil {
		t.report.add(path, at, err.Error())
		return nil
	}
	if used && !strings.Contains(literal, text) {
		t.report.veils = append(t.report.veils, veil{text, literal})
	}
	return &node{kind: scalar, text: text, literal: literal, plain: plain, env: used, at: at, lines: lines}
}

func (t *tree) mapping(path string, n *ast.MappingNode, depth int) *node {
	m := &node{kind: mapping, at: markOf(n.Start)}
	if len(n.Values) > 0 && !n.IsFlowStyle {
		m.at = markOf(n.Values[0].Key.GetToken())
	}
	own := map[string]mark{}
	var merged []entry
	for _, v := range n.Values {
		if v.Key.IsMergeKey() {
			merged = append(merged, t.merge(path, v.Value, depth)...)
			continue
		}
		key, ok := keyOf(v.Key)
		if !ok {
			t.report.add(path, markOf(v.Key.GetToken()), "not a key; want a word, without tag, anchor or alias")
			continue
		}
		e := entry{key: key.Value, at: markOf(key)}
		sub := join(path, e.key)
		if t.secret {
			sub = path // where a secret should be, a key may be it
		}
		if first, ok := own[e.key]; ok {
			t.report.note(sub, e.at, fmt.Sprintf("given twice; the first is in line %d", first.line))
		}
		if v.Value == nil {
			e.value = &node{kind: null, at: e.at}
		} else {
			outer := t.secret
			t.secret = outer || secretKey(e.key)
			e.value = t.build(sub, v.Value, depth+1)
			t.secret = outer
		}
		if secretKey(e.key) {
			t.report.hide(e.at, e.value)
		}
		if _, twice := own[e.key]; !twice {
			own[e.key] = e.at
			m.entries = append(m.entries, e)
		}
	}
	for _, e := range merged {
		if _, ok := own[e.key]; !ok {
			own[e.key] = e.at
			m.entries = append(m.entries, e)
		}
	}
	return m
}

// keyOf returns the word that a key is.
func keyOf(n ast.Node) (*token.Token, bool) {
	switch n := n.(type) {
	case *ast.MappingKeyNode: // ? key
		if n.Value == nil {
			return nil, false
		}
		return keyOf(n.Value)
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken(), true
	}
	return nil, false
}

// merge returns the entries that `<<: value` brings in, those of earlier
// mappings first.
func (t *tree) merge(path string, value ast.Node, depth int) []entry {
	v := t.build(path, value, depth+1)
	if v == nil {
		return nil
	}
	sources := []*node{v}
	if v.kind == sequence {
		sources = v.items
	}
	var entries []entry
	for _, s := range sources {
		switch {
		case s == nil:
		case s.kind != mapping:
			t.report.add(path, s.at, "<< merges keys with values, not "+s.kind.String())
		case !t.visit(len(s.entries), s.at):
			return nil
		default:
			entries = append(entries, s.entries...)
		}
	}
	return entries
}

// visit counts n nodes towards the bound, which keeps a file of aliases of
// aliases from growing without end. It reports the first excess.
func (t *tree) visit(n int, at mark) bool {
	before := t.visited
	t.visited += n
	if t.visited > maxNodes && before <= maxNodes {
		t.report.add("", at, fmt.Sprintf("more than %d values, aliases counted each time", maxNodes))
	}
	return t.visited <= maxNodes
}

func markOf(tk *token.Token) mark {
	if tk == nil || tk.Position == nil {
		return mark{1, 1, 1}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(tk.Origin), "\n")
	return mark{
		line:   max(tk.Position.Line, 1),
		column: max(tk.Position.Column, 1),
		width:  max(utf8.RuneCountInString(strings.TrimSpace(first)), 1),
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
