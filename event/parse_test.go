package event

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func testLimits() Limits {
	return Limits{MaxEvent: 512, MaxEvents: 5, MaxDepth: 4, MaxSkew: time.Minute}
}

func newTestParser(t testing.TB, f Fields, l Limits) *Parser {
	t.Helper()
	p, err := NewParser(f, l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// report writes the result of a parse as one line an index, or as the refusal.
func report(raws []Raw, rejects []Reject, refusal *Refusal) string {
	if refusal != nil {
		if raws != nil || rejects != nil {
			return "a refusal together with events"
		}
		return "refused " + refusal.Reason.Code
	}
	var out []string
	for len(raws)+len(rejects) > 0 {
		if len(rejects) == 0 || len(raws) > 0 && raws[0].Index < rejects[0].Index {
			out = append(out, fmt.Sprintf("%d %s", raws[0].Index, raws[0].Data))
			raws = raws[1:]
		} else {
			out = append(out, fmt.Sprintf("%d %s", rejects[0].Index, rejects[0].Reason.Code))
			rejects = rejects[1:]
		}
	}
	return strings.Join(out, "\n")
}

func TestParse(t *testing.T) {
	long := `{"id":"big","pad":"` + strings.Repeat("x", 600) + `"}`
	for _, tc := range []struct {
		name   string
		format Format
		body   string
		want   string
	}{
		{"an object is one event", JSON, `{"a":1}`, `0 {"a":1}`},
		{"white space around an object is not part of it", JSON, " \r\n\t{ \"a\" : 1 } \n", `0 { "a" : 1 }`},
		{"an array holds events in order", JSON, `[{"a":1}, {"a":2} ]`, "0 {\"a\":1}\n1 {\"a\":2}"},
		{"an empty object is well-formed", JSON, `{}`, `0 {}`},
		{"a number of 400 digits is kept", JSON, `{"n":` + strings.Repeat("9", 400) + `}`, `0 {"n":` + strings.Repeat("9", 400) + `}`},
		{"a body without bytes is empty", JSON, "", "refused empty_body"},
		{"a blank body is empty", JSON, " \n\r\t", "refused empty_body"},
		{"an empty array has no events", JSON, " [ ] ", "refused no_events"},
		{"a scalar is not an event", JSON, "42", "0 not_an_object"},
		{"a string is not an event", JSON, `"x"`, "0 not_an_object"},
		{"an element that is not an object spoils only itself", JSON, `[{"a":1},[],null,{"a":2}]`, "0 {\"a\":1}\n1 not_an_object\n2 not_an_object\n3 {\"a\":2}"},
		{"an object over max_event is too large", JSON, long, "0 event_too_large"},
		{"an element over max_event spoils only itself", JSON, `[{"a":1},` + long + `]`, "0 {\"a\":1}\n1 event_too_large"},
		{"as many levels as max_depth are allowed", JSON, `{"a":{"b":{"c":{}}}}`, `0 {"a":{"b":{"c":{}}}}`},
		{"one level more than max_depth is too deep", JSON, `{"a":{"b":{"c":{"d":{}}}}}`, "0 too_deep"},
		{"arrays count as levels", JSON, `{"a":[[[[]]]]}`, "0 too_deep"},
		{"the array around the events is no level", JSON, `[{"a":{"b":{"c":{}}}}]`, `0 {"a":{"b":{"c":{}}}}`},
		{"an element that is too deep spoils only itself", JSON, `[{"a":{"b":{"c":{"d":{}}}}},{}]`, "0 too_deep\n1 {}"},
		{"brackets in strings are not levels", JSON, `{"a":"{{{{{[[[[[","b\"{{{":"[[["}`, `0 {"a":"{{{{{[[[[[","b\"{{{":"[[["}`},
		{"as many events as max_events are allowed", JSON, `[{},{},{},{},{}]`, "0 {}\n1 {}\n2 {}\n3 {}\n4 {}"},
		{"one event more than max_events refuses all", JSON, `[{},{},{},{},{},{}]`, "refused too_many_events"},
		{"elements that are no events count too", JSON, `[1,2,3,4,5,6]`, "refused too_many_events"},
		{"an error anywhere refuses the whole array", JSON, `[{"a":1},{"a":}]`, "refused invalid_json"},
		{"100,000 objects deep is refused", JSON, strings.Repeat(`{"a":`, 100_000), "0 too_deep"},
		{"100,000 arrays deep is refused", JSON, strings.Repeat(`[`, 100_000), "refused too_deep"},
		{"100,000 deep inside an array is refused", JSON, `[{},` + strings.Repeat(`{"a":`, 100_000), "refused too_deep"},

		{"a line is an event", NDJSON, "{\"a\":1}\n{\"a\":2}\n", "0 {\"a\":1}\n1 {\"a\":2}"},
		{"the last line needs no newline", NDJSON, "{}\n{}", "0 {}\n1 {}"},
		{"blank lines are skipped and have no index", NDJSON, "\n  \n{\"a\":1}\n\r\n\t\n{\"a\":2}\n\n", "0 {\"a\":1}\n1 {\"a\":2}"},
		{"lines may end with CRLF", NDJSON, "{\"a\":1}\r\n{\"a\":2}\r\n", "0 {\"a\":1}\n1 {\"a\":2}"},
		{"a bad line spoils only itself", NDJSON, "{\"a\":1}\n{\"a\":\n{\"a\":2}", "0 {\"a\":1}\n1 invalid_json\n2 {\"a\":2}"},
		{"an event over two lines is two bad lines", NDJSON, "{\"a\":\n1}", "0 invalid_json\n1 invalid_json"},
		{"two events in a line are an error", NDJSON, "{} {}\n{}", "0 invalid_json\n1 {}"},
		{"a line that is an array is not an event", NDJSON, "[{}]\n{}", "0 not_an_object\n1 {}"},
		{"a line that is a scalar is not an event", NDJSON, "null\n{}", "0 not_an_object\n1 {}"},
		{"a byte order mark spoils its line", NDJSON, "\ufeff{}\n{}", "0 invalid_json\n1 {}"},
		{"a line over max_event is too large", NDJSON, "{}\n" + long, "0 {}\n1 event_too_large"},
		{"white space around a line does not make it too large", NDJSON, "{}" + strings.Repeat(" ", 600) + "\n", "0 {}"},
		{"a line that is too deep spoils only itself", NDJSON, "{}\n" + strings.Repeat("[", 200) + "\n{}", "0 {}\n1 too_deep\n2 {}"},
		{"blank lines do not count against max_events", NDJSON, strings.Repeat("\n", 50) + "{}\n{}\n{}\n{}\n{}", "0 {}\n1 {}\n2 {}\n3 {}\n4 {}"},
		{"one line more than max_events refuses all", NDJSON, "{}\n{}\n{}\n{}\n{}\n!", "refused too_many_events"},
		{"blank lines only are an empty body", NDJSON, "\n \r\n\n", "refused empty_body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newTestParser(t, DefaultFields(), testLimits())
			for range 2 { // a parser forgets the body before
				if got := report(p.Parse([]byte(tc.body), tc.format)); got != tc.want {
					t.Fatalf("got\n%s\nwant\n%s", got, tc.want)
				}
			}
		})
	}
}

// TestParseMessages holds what a sender reads: what is wrong, and where.
func TestParseMessages(t *testing.T) {
	for _, tc := range []struct {
		name    string
		format  Format
		body    string
		pointer string
		want    string
	}{
		{"not JSON", JSON, "hello", "", `"hello" is not a value of JSON (line 1, column 1, byte offset 0)`},
		{"cut off", JSON, `{"a":[1,`, "/a", "the JSON ends before it is complete (line 1, column 9, byte offset 8)"},
		{"cut off in a string", JSON, `{"a":"x`, "/a", "the JSON ends before it is complete (line 1, column 8, byte offset 7)"},
		{"a duplicate name", JSON, "{\"a\":1,\n \"b\":{\"user\":1,\"us\\u0065r\":2}}", "/b/user", `the member name "user" occurs twice in one object (line 2, column 16, byte offset 23)`},
		{"invalid UTF-8", JSON, "{\"a\":\"x\xff\"}", "/a", "a string is not UTF-8: the byte 0xff (line 1, column 8, byte offset 7)"},
		{"an overlong encoding", JSON, "{\"a\":\"\xc0\xaf\"}", "/a", "a string is not UTF-8: the byte 0xc0 (line 1, column 7, byte offset 6)"},
		{"a lone high surrogate", JSON, `{"a":"\ud800x"}`, "/a", `a string holds the lone surrogate \ud800, which is half a character (line 1, column 7, byte offset 6)`},
		{"a lone low surrogate", JSON, `{"a":"\uDC00 and more"}`, "/a", `a string holds the lone surrogate \uDC00, which is half a character (line 1, column 7, byte offset 6)`},
		{"an unknown escape", JSON, `{"a":"\x41"}`, "/a", `a string holds "\\x", which is not an escape of JSON (line 1, column 7, byte offset 6)`},
		{"a control character in a string", JSON, "{\"a\":\"x\ty\"}", "/a", "a string holds the control character U+0009, which has to be escaped (line 1, column 8, byte offset 7)"},
		{"NaN", JSON, `{"a":NaN}`, "/a", `"NaN" is not a value of JSON (line 1, column 6, byte offset 5)`},
		{"nan", JSON, `{"a":nan}`, "/a", `"nan" is not a value of JSON (line 1, column 7, byte offset 6)`},
		{"-Infinity", JSON, `{"a":-Infinity}`, "/a", `"-Infinity" is not a value of JSON (line 1, column 7, byte offset 6)`},
		{"Python's True", JSON, `[{"a":True}]`, "/0/a", `"True" is not a value of JSON (line 1, column 7, byte offset 6)`},
		{"single quotes", JSON, `{'a':1}`, "", `want a member name in double quotes, got "'" (line 1, column 2, byte offset 1)`},
		{"a name without quotes", JSON, `{a:1}`, "", `want a member name in double quotes, got 'a' (line 1, column 2, byte offset 1)`},
		{"a comma before the brace", JSON, `{"a":1,}`, "", `unexpected '}' after a comma (line 1, column 8, byte offset 7)`},
		{"a comma before the bracket", JSON, `{"a":[1,]}`, "/a/1", `want a value, got ']' (line 1, column 9, byte offset 8)`},
		{"a missing comma", JSON, `{"a":1 "b":2}`, "", `want ',' or '}' after the member, got '"' (line 1, column 8, byte offset 7)`},
		{"a missing comma in an array", JSON, `{"a":[1 2]}`, "/a", `want ',' or ']' after the element, got '2' (line 1, column 9, byte offset 8)`},
		{"a missing comma between events", JSON, `[{} {}]`, "", `want ',' or ']' after the element, got '{' (line 1, column 5, byte offset 4)`},
		{"a missing colon", JSON, `{"a" 1}`, "/a", `want ':' after the member name, got '1' (line 1, column 6, byte offset 5)`},
		{"a leading zero", JSON, `{"a":01}`, "", `want ',' or '}' after the member, got '1' (line 1, column 7, byte offset 6)`},
		{"a number without digits", JSON, `{"a":1.}`, "/a", `a number is not complete: want a digit, got '}' (line 1, column 8, byte offset 7)`},
		{"a comment", JSON, `{"a":/*x*/1}`, "/a", `no value of JSON begins with '/' (line 1, column 6, byte offset 5)`},
		{"a byte order mark", JSON, "\ufeff{}", "", "the text begins with a byte order mark, which JSON does not allow (line 1, column 1, byte offset 0)"},
		{"UTF-16", JSON, "\xff\xfe{\x00}\x00", "", "the text is UTF-16: JSON has to be UTF-8 (line 1, column 1, byte offset 0)"},
		{"two objects", JSON, "{}\n{}", "", "unexpected '{' after the end of the JSON value: several events are an array, or one a line as application/x-ndjson (line 2, column 1, byte offset 3)"},
		{"bytes after an array", JSON, "[{}]x", "", "unexpected 'x' after the end of the JSON value (line 1, column 5, byte offset 4)"},
		{"bytes after an empty array", JSON, "[],", "", "unexpected ',' after the end of the JSON value (line 1, column 3, byte offset 2)"},
		{"the wrong bracket", JSON, `[{"a":1]]`, "/0", `want ',' or '}' after the member, got ']' (line 1, column 8, byte offset 7)`},
		{"a bad line", NDJSON, "{}\n\n{\"a\":x}", "/a", `"x" is not a value of JSON (line 3, column 6, byte offset 9)`},
		{"two events in a line", NDJSON, "{}\n{} {}", "", `unexpected '{' after the end of the JSON value: want one event a line (line 2, column 4, byte offset 6)`},
		{"an array in a line", NDJSON, "\n[1]", "", `want a JSON object, got an array (line 2)`},
		{"a line too long", NDJSON, "\n{" + strings.Repeat(" ", 600) + "}", "", `the event has 602 bytes: at most 512 are allowed (data.max_event) (line 2)`},
		{"a scalar", JSON, "1.50", "", `want a JSON object, got the number 1.50`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, rejects, refusal := newTestParser(t, DefaultFields(), testLimits()).Parse([]byte(tc.body), tc.format)
			var got Reason
			switch {
			case refusal != nil:
				got = refusal.Reason
			case len(rejects) == 1:
				got = rejects[0].Reason
			default:
				t.Fatalf("no single reason: %v", rejects)
			}
			if got.Message != tc.want || got.Pointer != tc.pointer || got.Stage != StageParser {
				t.Errorf("got  %q at %q of %s\nwant %q at %q", got.Message, got.Pointer, got.Stage, tc.want, tc.pointer)
			}
		})
	}
}

func TestParseRefusalsSayTheLimit(t *testing.T) {
	_, _, refusal := newTestParser(t, DefaultFields(), testLimits()).Parse([]byte("[1,2,3,4,5,6]"), JSON)
	if refusal == nil || refusal.Kind != TooLarge || refusal.LimitName != "data.max_events" || refusal.Limit != 5 {
		t.Errorf("got %+v", refusal)
	}
}

func TestParsePointersInAnswersAreBounded(t *testing.T) {
	body := strings.Repeat(`[`, 9000) + "x"
	_, _, refusal := newTestParser(t, DefaultFields(), testLimits()).Parse([]byte(body), JSON)
	if refusal == nil || len(refusal.Reason.Pointer) > maxPointer || !strings.HasPrefix(refusal.Reason.Pointer, "/0/0") {
		t.Fatalf("got %+v", refusal)
	}
	name := strings.Repeat("n", 5000)
	_, _, refusal = newTestParser(t, DefaultFields(), testLimits()).Parse([]byte(`{"a":{"`+name+`":x}}`), JSON)
	if refusal == nil || refusal.Reason.Pointer != "/a" {
		t.Fatalf("got %+v", refusal)
	}
}

func TestParseSharesTheBody(t *testing.T) {
	body := []byte(`[{"id":"a"}, {"id":"b","user":"u\u0041"}]`)
	raws, _, _ := newTestParser(t, DefaultFields(), testLimits()).Parse(body, JSON)
	if len(raws) != 2 {
		t.Fatal("want two events")
	}
	if &raws[1].Data[0] != &body[13] {
		t.Error("the event was copied")
	}
	if raws[1].User.Text != "uA" {
		t.Errorf("user is %q", raws[1].User.Text)
	}
	if kept := bytes.Clone(body); testing.AllocsPerRun(10, func() {
		p := newTestParser(t, DefaultFields(), testLimits())
		p.Parse(kept, JSON)
	}) == 0 {
		t.Error("allocations are not counted")
	}
}

func TestParseAllocatesOncePerBody(t *testing.T) {
	p := newTestParser(t, DefaultFields(), Limits{MaxEvent: 1 << 20, MaxEvents: 1000, MaxDepth: 64})
	lines := bytes.Repeat(append(bytes.Clone(benchEvent), '\n'), 100)
	for _, tc := range []struct {
		name   string
		body   []byte
		format Format
	}{{"one object", benchEvent, JSON}, {"lines", lines, NDJSON}} {
		if n := testing.AllocsPerRun(100, func() { p.Parse(tc.body, tc.format) }); n != 1 {
			t.Errorf("%s: %v allocations", tc.name, n)
		}
	}
}

func TestParseRoomIsBoundedByTheBody(t *testing.T) {
	p := newTestParser(t, DefaultFields(), Limits{MaxEvent: 1 << 20, MaxEvents: 1 << 30, MaxDepth: 64})
	body := []byte(`{}` + strings.Repeat("\n", 1<<16) + `{}`)
	raws, _, _ := p.Parse(body, NDJSON)
	if len(raws) != 2 || cap(raws) > len(body)/24+1 {
		t.Errorf("%d raws with room for %d", len(raws), cap(raws))
	}
}

func TestRejectsNameTheEventWhereTheyCan(t *testing.T) {
	body := `[{"id":"one","pad":"` + strings.Repeat("x", 600) + `"},{"id":2,"a":[[[[[]]]]]}]`
	_, rejects, _ := newTestParser(t, DefaultFields(), testLimits()).Parse([]byte(body), JSON)
	if len(rejects) != 2 || rejects[0].ID != "one" || rejects[1].ID != "2" {
		t.Errorf("got %+v", rejects)
	}
}
