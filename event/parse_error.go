package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxPointer bounds the bytes of a pointer in an answer: what is nested
// thousands deep would otherwise have one as long as itself.
const maxPointer = 256

// spot is where the text being parsed lies in its body.
type spot struct {
	line   int // from 1; 0: the text is the whole body
	offset int // of its first byte
}

// String says where byte i of text is, in the form that ends a message.
func (s spot) String(text []byte, i int) string {
	line, column := s.line, i
	switch {
	case text == nil:
		return fmt.Sprintf(" (line %d)", line)
	case line == 0:
		line = 1 + bytes.Count(text[:i], []byte{'\n'})
		column = i - 1 - bytes.LastIndexByte(text[:i], '\n')
	}
	return fmt.Sprintf(" (line %d, column %d, byte offset %d)", line, column+1, s.offset+i)
}

func parserReason(code, message string) Reason {
	return Reason{Code: code, Stage: StageParser, Message: message}
}

func malformed(r Reason) *Refusal { return &Refusal{Kind: Malformed, Reason: r} }

func (p *Parser) tooMany() *Refusal {
	limit := p.limits.MaxEvents
	return &Refusal{
		Kind:      TooLarge,
		Reason:    parserReason(CodeTooManyEvents, fmt.Sprintf("the request holds more than %d events", limit)),
		LimitName: "data.max_events",
		Limit:     int64(limit),
	}
}

func (p *Parser) tooLarge(size int) Reason {
	return parserReason(CodeEventTooLarge,
		fmt.Sprintf("the event has %d bytes: at most %d are allowed (data.max_event)", size, p.limits.MaxEvent))
}

func (p *Parser) tooDeep() Reason {
	return parserReason(CodeTooDeep,
		fmt.Sprintf("the event is nested deeper than the %d levels allowed (data.max_depth)", p.limits.MaxDepth))
}

// syntaxReason puts an error of the JSON library into a sender's words.
func syntaxReason(err error, text []byte, at spot) *Reason {
	r := parserReason(CodeInvalidJSON, "")
	offset := len(text)
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset = max(0, min(int(syntax.ByteOffset), len(text)))
		r.Pointer = shortPointer(string(syntax.JSONPointer))
		err = syntax.Err
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		name := text[offset:skipString(text, offset)]
		if unquoted, err := jsontext.AppendUnquote(nil, name); err == nil {
			name = unquoted
		}
		r.Message = "the member name " + quoteText(string(name)) + " occurs twice in one object"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), err == nil:
		r.Message = "the JSON ends before it is complete"
	case strings.Contains(err.Error(), "exceeded max depth"):
		r.Code = CodeTooDeep
		r.Message = fmt.Sprintf("the JSON is nested deeper than %d levels", libraryDepth)
	default:
		r.Message = explain(err.Error(), text, offset)
	}
	r.Message += at.String(text, offset)
	return &r
}

// explain says what is wrong at offset. The library has no types for these
// errors, but its text says which part of the grammar was expected; if it ever
// says it differently, the sender still gets the last line below.
func explain(library string, text []byte, offset int) string {
	rest := text[offset:]
	got := quoteByte(rest)
	if len(rest) == 0 {
		return "the JSON ends before it is complete"
	}
	expected := func(s string) bool { return strings.Contains(library, s) }
	switch {
	case bytes.HasPrefix(rest, []byte("\xef\xbb\xbf")):
		return "the text begins with a byte order mark, which JSON does not allow"
	case bytes.HasPrefix(rest, []byte("\xff\xfe")), bytes.HasPrefix(rest, []byte("\xfe\xff")):
		return "the text is UTF-16: JSON has to be UTF-8"
	case expected("invalid UTF-8"):
		return "a string is not UTF-8: " + got
	case expected("invalid escape sequence"), expected("invalid surrogate pair"):
		return badEscape(rest)
	case expected("in string (expecting non-control"):
		return "a string holds the control character " + got + ", which has to be escaped"
	case expected("in literal"), expected("in number"), expected("at start of value"):
		return badValue(text, offset)
	case expected("at start of string"):
		if rest[0] == '}' {
			return "unexpected '}' after a comma"
		}
		return "want a member name in double quotes, got " + got
	case expected("name must be a string"):
		return "a member name has to be a string in double quotes"
	case expected("expecting ':'"):
		return "want ':' after the member name, got " + got
	case expected("expecting ',' or '}'"):
		return "want ',' or '}' after the member, got " + got
	case expected("expecting ',' or ']'"):
		return "want ',' or ']' after the element, got " + got
	}
	return "unexpected " + got
}

// badEscape explains the escape that rest begins with.
func badEscape(rest []byte) string {
	n := 2
	if len(rest) > 1 && rest[1] == 'u' {
		n = 6
	}
	escape := string(rest[:min(n, len(rest))])
	if code, err := strconv.ParseUint(strings.TrimPrefix(escape, `\u`), 16, 16); n == 6 && err == nil && code>>11 == 0xd800>>11 {
		return "a string holds the lone surrogate " + escape + ", which is half a character"
	}
	return "a string holds " + quoteText(escape) + ", which is not an escape of JSON"
}

// badValue explains the value at or around offset that is none.
func badValue(text []byte, offset int) string {
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
	start, end := offset, offset
	for start > 0 && offset-start < 16 && letter(text[start-1]) {
		start--
	}
	for end < len(text) && end-offset < 16 && letter(text[end]) {
		end++
	}
	if end > start {
		if start > 0 && text[start-1] == '-' {
			start--
		}
		return quoteText(string(text[start:end])) + " is not a value of JSON"
	}
	switch c := text[offset]; {
	case offset > 0 && (isDigit(text[offset-1]) || text[offset-1] == '-' || text[offset-1] == '.'):
		return "a number is not complete: want a digit, got " + quoteByte(text[offset:])
	case c == '}' || c == ']' || c == ',':
		return "want a value, got " + quoteByte(text[offset:])
	default:
		return "no value of JSON begins with " + quoteByte(text[offset:])
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// quoteByte quotes the character that b begins with.
func quoteByte(b []byte) string {
	if len(b) == 0 {
		return "the end"
	}
	switch r, n := utf8.DecodeRune(b); {
	case r == utf8.RuneError && n == 1:
		return fmt.Sprintf("the byte 0x%02x", b[0])
	case r == '\'':
		return `"'"`
	case unicode.IsPrint(r):
		return "'" + string(r) + "'"
	default:
		return fmt.Sprintf("U+%04X", r)
	}
}

// quoteText quotes what a sender wrote for a message: escaped, and no more than
// its beginning.
func quoteText(s string) string {
	const most = 64
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

// shortPointer cuts a pointer that is too long for an answer at a token, so
// that it still points to something around the error.
func shortPointer(p string) string {
	if len(p) <= maxPointer {
		return p
	}
	return strings.Clone(p[:max(strings.LastIndexByte(p[:maxPointer+1], '/'), 0)])
}
