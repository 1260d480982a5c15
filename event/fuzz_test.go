package event

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

var seeds = []string{
	``, ` `, `{}`, `[]`, `[{}]`, `{"id":"a","type":"t","user":"u","ts":1}`, `[{"user":"u"},1,"x",[{}]]`,
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":1}}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`,
	`{"a":"\udc00\ud800"}`, `{"a":01}`, `{"a":1e}`, `{"a":-}`, `{"a":NaN}`, `{"a":1,}`, `[1,]`, `{"a"}`, `{"a":"\x"}`, "{\"a\":\"\n\"}",
	`{"a":[[[[[[[[]]]]]]]]}`, `{"a":"[[[[[[[[\"[["}`, "{}\n{}\r\n\n[1]\nx\n", "\ufeff{}", `{"id":null,"ts":null,"m":{"d":[{"x":1}]}}`,
	`{"m":{"d":[0,{"\u0078":"\n"}]},"":{"":1}}`, `{"a":"\\\\\""}`, `{"a":"\u0000"}`, `{ "id" : 12345678901234567890 , "user":-0.0e-0}`, `nul`, `"`, `{"a":tru}`, `--1`,
}

// strict reports whether b is one JSON value by RFC 7493. It shares no code with
// what it tests: encoding/json checks the grammar, and what is left is checked here.
func strict(b []byte) bool {
	if !json.Valid(b) || !utf8.Valid(b) || loneSurrogate(string(b)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	type level struct {
		names map[string]bool // nil in an array
		value bool            // a value comes next, not a name
	}
	var stack []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return true
		}
		top := len(stack) - 1
		if name, ok := token.(string); ok && top >= 0 && stack[top].names != nil && !stack[top].value {
			if stack[top].names[name] {
				return false
			}
			stack[top].names[name], stack[top].value = true, true
			continue
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:top]
			continue
		}
		if top >= 0 {
			stack[top].value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		}
	}
}

// loneSurrogate looks for \u escapes that are half a character.
func loneSurrogate(s string) bool {
	half := func(s string) rune {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n)
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if r := half(s[i:]); utf16.IsSurrogate(r) {
			if utf16.DecodeRune(r, half(s[i+6:])) == utf8.RuneError {
				return true
			}
			i += 6
		}
		i++
	}
	return false
}

func depth(b []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

var fuzzFields = Fields{ID: "/id", Type: "/m/d/1/x", User: "/user", TS: "/"}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	limits := Limits{MaxEvent: 200, MaxEvents: 8, MaxDepth: 6, MaxSkew: time.Minute}
	p, v := newTestParser(f, fuzzFields, limits), NewValidator("acme", fuzzFields, limits)
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		raws, rejects, refusal := p.Parse(body, JSON)
		if !bytes.Equal(body, kept) {
			t.Fatal("the body was written to")
		}
		checkRaws(t, body, raws, limits)
		trimmed := bytes.Trim(body, " \t\r\n")
		good := strict(body)
		switch {
		case refusal == nil && !good && !(len(rejects) == 1 && rejects[0].Reason.Code == CodeTooDeep && trimmed[0] != '['):
			t.Fatalf("%q was accepted and is not strict JSON", body)
		case refusal != nil && good:
			if c := refusal.Reason.Code; c != CodeNoEvents && c != CodeTooManyEvents {
				t.Fatalf("%q is strict JSON and was refused: %+v", body, refusal)
			}
		case refusal == nil && good:
			var elements []json.RawMessage
			if trimmed[0] != '[' {
				elements = []json.RawMessage{trimmed}
			} else if err := json.Unmarshal(body, &elements); err != nil {
				t.Fatal(err)
			}
			if len(elements) != len(raws)+len(rejects) {
				t.Fatalf("%q: %d elements, %d raws, %d rejects", body, len(elements), len(raws), len(rejects))
			}
			for _, r := range raws {
				if !bytes.Equal(r.Data, elements[r.Index]) {
					t.Fatalf("event %d is %q, not %q", r.Index, r.Data, elements[r.Index])
				}
				checkFields(t, r)
				v.Validate(&r, received)
			}
			for _, r := range rejects {
				e := elements[r.Index]
				if e[0] == '{' && len(e) <= limits.MaxEvent && depth(e) <= limits.MaxDepth {
					t.Fatalf("%q was rejected: %+v", e, r)
				}
			}
		}
		for _, r := range rejects {
			if !utf8.ValidString(r.Reason.Message) || len(r.Reason.Message) > 500 {
				t.Fatalf("message %q", r.Reason.Message)
			}
		}
		if refusal != nil && (!utf8.ValidString(refusal.Reason.Message) || strings.Contains(refusal.Reason.Message, "jsontext")) {
			t.Fatalf("message %q", refusal.Reason.Message)
		}
	})
}

// checkRaws checks what holds for the events of every body.
func checkRaws(t *testing.T, body []byte, raws []Raw, l Limits) {
	at := 0
	for _, r := range raws {
		n := bytes.Index(body[at:], r.Data)
		if n < 0 {
			t.Fatalf("%q is not in the body after byte %d", r.Data, at)
		}
		at += n + len(r.Data)
		if len(r.Data) > l.MaxEvent || r.Data[0] != '{' || !strict(r.Data) || depth(r.Data) > l.MaxDepth {
			t.Fatalf("%q is no event", r.Data)
		}
	}
}

// checkFields compares the fields of an event with those that encoding/json
// finds.
func checkFields(t *testing.T, r Raw) {
	d := json.NewDecoder(bytes.NewReader(r.Data))
	d.UseNumber()
	var top map[string]any
	if err := d.Decode(&top); err != nil {
		t.Fatal(err)
	}
	value := func(v any, ok bool) Value {
		if !ok {
			return Value{}
		}
		switch v := v.(type) {
		case nil:
			return Value{Kind: Null}
		case bool:
			return Value{Kind: Bool}
		case json.Number:
			return Value{Kind: Number, Text: string(v)}
		case string:
			return Value{Kind: String, Text: v}
		case []any:
			return Value{Kind: Array}
		}
		return Value{Kind: Object}
	}
	step := func(v any, token string) (any, bool) {
		switch v := v.(type) {
		case map[string]any:
			next, ok := v[token]
			return next, ok
		case []any:
			if i := arrayIndex(token); i >= 0 && i < len(v) {
				return v[i], true
			}
		}
		return nil, false
	}
	find := func(tokens ...string) Value {
		var v any = top
		ok := true
		for _, token := range tokens {
			if v, ok = step(v, token); !ok {
				break
			}
		}
		return value(v, ok)
	}
	got := [...]Value{r.ID, r.Type, r.User, r.TS}
	want := [...]Value{find("id"), find("m", "d", "1", "x"), find("user"), find("")}
	if got != want {
		t.Fatalf("%q: got %v, want %v", r.Data, got, want)
	}
}

// FuzzParseLines checks that NDJSON is its lines, each parsed alone.
func FuzzParseLines(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
		f.Add([]byte(s + "\n" + s + "\r\n\n" + s))
	}
	limits := Limits{MaxEvent: 200, MaxEvents: 8, MaxDepth: 6}
	p, single := newTestParser(f, fuzzFields, limits), newTestParser(f, fuzzFields, limits)
	f.Fuzz(func(t *testing.T, body []byte) {
		raws, rejects, refusal := p.Parse(body, NDJSON)
		checkRaws(t, body, raws, limits)
		index := 0
		for _, line := range bytes.Split(body, []byte("\n")) {
			line = bytes.Trim(line, " \t\r")
			if len(line) == 0 {
				continue
			}
			switch {
			case refusal != nil:
			case len(raws) > 0 && raws[0].Index == index:
				alone, _, _ := single.Parse(line, JSON)
				if len(alone) != 1 {
					t.Fatalf("%q is an event as a line only", line)
				}
				alone[0].Index = index
				if !reflect.DeepEqual(alone[0], raws[0]) {
					t.Fatalf("got %+v, alone %+v", raws[0], alone[0])
				}
				raws = raws[1:]
			case len(rejects) > 0 && rejects[0].Index == index:
				if alone, _, _ := single.Parse(line, JSON); len(alone) == 1 && line[0] == '{' {
					t.Fatalf("%q was rejected as a line only: %+v", line, rejects[0])
				}
				rejects = rejects[1:]
			default:
				t.Fatalf("line %q has no result", line)
			}
			index++
		}
		if refusal != nil && (refusal.Reason.Code == CodeEmptyBody) != (index == 0) || (refusal != nil) != (index == 0 || index > limits.MaxEvents) {
			t.Fatalf("%d lines: %+v", index, refusal)
		}
		if len(raws)+len(rejects) > 0 {
			t.Fatalf("results for no line: %v %v", raws, rejects)
		}
	})
}

func FuzzFill(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), "/id", "/m/d/1/ts", "i")
		f.Add([]byte(s), "/m/id", "/m/t/s", "\"\n")
	}
	f.Fuzz(func(t *testing.T, data []byte, idAt, tsAt, id string) {
		fields := Fields{ID: idAt, Type: "/type", User: "/user", TS: tsAt}
		e := Event{ID: id, TS: 1_752_485_482_418, Data: bytes.Clone(data)}
		filled := Fill(nil, &e, fields)
		if !bytes.Equal(data, e.Data) {
			t.Fatal("the event was written to")
		}
		root, err := compileFields(fields)
		if err != nil || !strict(data) || bytes.TrimLeft(data, " \t\r\n")[0] != '{' || !utf8.ValidString(id) {
			return // it only has to survive
		}
		if !strict(filled) {
			t.Fatalf("%q became %q", data, filled)
		}
		var before, after finder
		before.find(data, root)
		after.find(filled, root)
		for _, field := range []field{fieldType, fieldUser} {
			overlap := strings.HasPrefix(idAt, "/type") || strings.HasPrefix(tsAt, "/type") || strings.HasPrefix(idAt, "/user") || strings.HasPrefix(tsAt, "/user")
			if before.values[field] != after.values[field] && !overlap {
				t.Fatalf("%q became %q", data, filled)
			}
		}
		if !before.values[fieldID].absent() && before.values[fieldID] != after.values[fieldID] {
			t.Fatalf("%q became %q", data, filled)
		}
		if again := Fill(nil, &Event{ID: id, TS: e.TS, Data: filled}, fields); !bytes.Equal(again, filled) {
			t.Fatalf("filled twice: %q then %q", filled, again)
		}
		if !subsequence(data, filled) {
			t.Fatalf("%q lost bytes in %q", data, filled)
		}
	})
}

// subsequence reports whether filled has all bytes of data in their order, but
// for the nulls that may be replaced.
func subsequence(data, filled []byte) bool {
	if bytes.Contains(data, []byte("null")) {
		return true
	}
	for _, c := range data {
		n := bytes.IndexByte(filled, c)
		if n < 0 {
			return false
		}
		filled = filled[n+1:]
	}
	return true
}

// strictTime is what RFC 3339 allows: time.Parse is lax with hours and offsets.
var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// FuzzParseTime compares with the standard library, which takes less than we do.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2025-07-14T09:31:22.418Z", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.9-00:01", "2016-12-31T23:59:60Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ms, ok := parseRFC3339(s)
		want, err := time.Parse(time.RFC3339, s)
		if err == nil && strictTime.MatchString(s) && (!ok || want.UnixMilli() != ms) {
			t.Fatalf("%q: got %d %v, want %v", s, ms, ok, want)
		}
		if ok && err != nil && s[10] == 'T' && s[17:19] != "60" && !strings.HasSuffix(s, "z") {
			t.Fatalf("%q: the standard library says %v", s, err)
		}
	})
}
