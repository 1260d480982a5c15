package event

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// field is one of the fields sluice reads from an event.
type field uint8

const (
	fieldID field = iota
	fieldType
	fieldUser
	fieldTS
	fieldCount
)

// fieldSet is a set of fields, one bit each.
type fieldSet uint8

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// pathNode is one reference token of the configured pointers, so that a single
// walk over an event finds all of its fields. The root stands for the event.
type pathNode struct {
	name  string     // the token, unescaped
	index int        // the array element it names, -1 if it can only name a member
	ends  fieldSet   // fields whose pointer ends here
	below fieldSet   // fields whose pointer ends here or further down
	kids  []pathNode // a handful: a slice is quicker to search than a map
}

// compileFields makes the tree of the pointers in f. The error names the field
// and says what is wrong with its pointer.
func compileFields(f Fields) (*pathNode, error) {
	root := &pathNode{index: -1}
	for i, p := range [fieldCount]struct{ name, pointer string }{
		fieldID: {"id", f.ID}, fieldType: {"type", f.Type}, fieldUser: {"user", f.User}, fieldTS: {"ts", f.TS},
	} {
		tokens, err := pointerTokens(p.pointer)
		if err != nil {
			return nil, fmt.Errorf("fields.%s: %w", p.name, err)
		}
		root.insert(tokens, field(i))
	}
	return root, nil
}

func (n *pathNode) insert(tokens []string, f field) {
	n.below |= 1 << f
	if len(tokens) == 0 {
		n.ends |= 1 << f
		return
	}
	for i := range n.kids {
		if n.kids[i].name == tokens[0] {
			n.kids[i].insert(tokens[1:], f)
			return
		}
	}
	n.kids = append(n.kids, pathNode{name: tokens[0], index: arrayIndex(tokens[0])})
	n.kids[len(n.kids)-1].insert(tokens[1:], f)
}

// element returns the child for element i of an array, nil if there is none.
func (n *pathNode) element(i int) *pathNode {
	for k := range n.kids {
		if n.kids[k].index == i {
			return &n.kids[k]
		}
	}
	return nil
}

// pointerTokens splits a JSON Pointer (RFC 6901) into its unescaped tokens.
func pointerTokens(pointer string) ([]string, error) {
	switch p := jsontext.Pointer(pointer); {
	case pointer == "":
		return nil, fmt.Errorf("the JSON Pointer is empty, which would be the whole event; want one such as \"/user\"")
	case pointer[0] != '/':
		return nil, fmt.Errorf("%q is not a JSON Pointer: it has to start with \"/\"", pointer)
	case !p.IsValid():
		return nil, fmt.Errorf("%q is not a JSON Pointer: \"~\" is written ~0, \"/\" inside a name ~1, and it has to be UTF-8", pointer)
	}
	// Not Pointer.Tokens: it drops an empty last token, and "/a/" means the
	// member named "" of the member named "a".
	tokens := strings.Split(pointer[1:], "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// arrayIndex returns the array element that token names by the rules of RFC
// 6901, -1 if it names none.
func arrayIndex(token string) int {
	n, err := strconv.ParseUint(token, 10, 31)
	if err != nil || token[0] == '+' || len(token) > 1 && token[0] == '0' {
		return -1
	}
	return int(n)
}
