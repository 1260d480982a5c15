package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// readEvents reads an input to its end: what next returned, a line each.
func readEvents(t *testing.T, in *sendInput, format string, maxEvent int, from startAt) string {
	t.Helper()
	r, _, err := in.open(format, maxEvent, from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var out []string
	for {
		e, err := r.next()
		if err == io.EOF {
			return strings.Join(out, " ")
		}
		if err != nil {
			return strings.Join(append(out, "error: "+err.Error()), " ")
		}
		if e.data == nil {
			e.data = []byte("too-large")
		}
		out = append(out, fmt.Sprintf("%d:%s", e.line, e.data))
	}
}

func stream(content string) *sendInput {
	return &sendInput{name: "standard input", stdin: strings.NewReader(content), size: -1}
}

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tc := range []struct{ name, content, want string }{
		{"lines are numbered from 1, blank ones too", "{}\n\n{\"a\":1}\n", `1:{} 3:{"a":1}`},
		{"white space around a line is left out", " {} \r\n\t{}", "1:{} 2:{}"},
		{"a long line is named and left out", "{}\n" + long + "\n{}\n" + long, "1:{} 2:too-large 3:{} 4:too-large"},
		{"a line as long as is allowed is taken", strings.Repeat("y", 100) + "\n{}", "1:" + strings.Repeat("y", 100) + " 2:{}"},
		{"nothing has no lines", "", ""},
		{"blank lines are no lines", "\n \n\t\r\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := readEvents(t, stream(tc.content), "ndjson", 100, startAt{}); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestReadValues(t *testing.T) {
	long := `{"a":[` + strings.Repeat("1,", 100) + `1]}`
	for _, tc := range []struct{ name, content, want string }{
		{"elements are numbered from 1", `[{}, 1 ,[2],"x"]`, `1:{} 2:1 3:[2] 4:"x"`},
		{"values follow one another", "{} {\n}\n3", "1:{} 2:{\n} 3:3"},
		{"a large element is named and left out", "[{}," + long + ",{}," + long + "]", "1:{} 2:too-large 3:{} 4:too-large"},
		{"a large value is named and left out", long + "{}", "1:too-large 2:{}"},
		{"nothing has no values", " ", ""},
		{"an empty array has no elements", "[ ]", ""},
		{"an array that is cut off", "[{},{", "1:{} error: not JSON at value 2: unexpected EOF within \"/1\" after offset 5"},
		{"a large element with an error in it", "[{}," + long[:150] + "!", "1:{} error: not JSON at value 2"},
		{"something after the array", "[{}] {}", "1:{} error: there is something after the end of the array, which is at byte 4"},
		{"a duplicate name", `[{"a":1,"a":2}]`, "error: not JSON at value 1: duplicate object member name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := readEvents(t, stream(tc.content), "json", 100, startAt{}); got != tc.want && !strings.Contains(tc.want, "error") || !strings.HasPrefix(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestGuessTheFormat(t *testing.T) {
	for _, tc := range []struct{ name, file, content, want string }{
		{"an array is JSON", "a", " \n[{}]", "json"},
		{"an object a line is NDJSON", "a", "\n{\"a\":1}\n{", "ndjson"},
		{"one object in one line is NDJSON", "a", `{"a":1}`, "ndjson"},
		{"an object over several lines is JSON", "a", "{\n\"a\":1}", "json"},
		{"what is no JSON at all is NDJSON with bad lines", "a", "hello\n{}", "ndjson"},
		{"an object with an error is NDJSON with a bad line", "a", "{a:1}\n{}", "ndjson"},
		{"a line longer than an event is NDJSON", "a", `{"a":"` + strings.Repeat("x", 10_000), "ndjson"},
		{"the name may say it", "a.ndjson.gz", "{\n", "ndjson"},
		{"in any case", "a.JSONL", "[", "ndjson"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &source{buf: bufio.NewReader(strings.NewReader(tc.content))}
			if got := s.guess(tc.file, 5000); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if rest, err := io.ReadAll(s.buf); err != nil || string(rest) != tc.content {
				t.Errorf("%q is left of %q: %v", rest, tc.content, err)
			}
		})
	}
}

func TestReadingStartsInTheMiddle(t *testing.T) {
	content := "\ufeff{\"a\":0}\n\n{\"a\":1}\n{\"a\":2}\n"
	from := startAt{Event: 1, Line: 3, Offset: int64(strings.Index(content, `{"a":1`))}
	file, err := newFileInput(writeFile(t, "a.ndjson", content))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*sendInput{file, stream(content)} {
		if got := readEvents(t, in, "auto", 100, from); got != `3:{"a":1} 4:{"a":2}` {
			t.Errorf("got %s", got)
		}
	}
}

// endless is an input without an end, of one pattern.
type endless struct {
	head, pattern string
	at            int
	given, most   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.given > e.most {
		return 0, errors.New("read for ever")
	}
	n := 0
	for n < len(p) {
		if e.at < len(e.head) {
			n += copy(p[n:], e.head[e.at:])
			e.at = min(len(e.head), e.at+n)
			continue
		}
		n += copy(p[n:], e.pattern)
	}
	e.given += n
	return n, nil
}

// TestReadingIsBoundedInMemory reads what is one line, one element, one string
// or white space, and goes on for much longer than an event may be.
func TestReadingIsBoundedInMemory(t *testing.T) {
	pad := strings.Repeat("x", 1<<16)
	for _, tc := range []struct {
		name, format, head, pattern, want string
	}{
		{"a line without an end", "ndjson", "{}\n{", pad, "read for ever"},
		{"an element without an end", "json", "[{},[", strings.Repeat("1,", 1<<15), "read for ever"},
		{"a string without an end", "json", `[{},"`, pad, "a string is longer than 16 MiB"},
		{"white space without an end", "json", "[{}", strings.Repeat(" ", 1<<16), "more than 1 MiB without a value"},
		{"white space instead of anything", "json", "", strings.Repeat("\n", 1<<16), "more than 1 MiB without a value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before, after runtime.MemStats
			in := &sendInput{name: "x", size: -1, stdin: &endless{head: tc.head, pattern: tc.pattern, most: 40 << 20}}
			runtime.ReadMemStats(&before)
			got := readEvents(t, in, tc.format, 1000, startAt{})
			runtime.ReadMemStats(&after)
			if !strings.Contains(got, tc.want) {
				t.Errorf("got %.200s", got)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 80<<20 {
				t.Errorf("%d MiB were allocated", used>>20)
			}
		})
	}
}

func TestNewFileInputTellsFilesApart(t *testing.T) {
	a, err := newFileInput(writeFile(t, "a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := newFileInput(writeFile(t, "a", "2"))
	if err != nil {
		t.Fatal(err)
	}
	if a.head == b.head || a.size != 1 || !a.regular || !filepath.IsAbs(a.path) {
		t.Errorf("%+v %+v", a.head, b.head)
	}
}
