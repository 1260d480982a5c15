package load

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		status     int
		body       string
		retry      int
		close      bool
	}{
		{"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", -1, false},
		{"names are of any case", "HTTP/1.1 429 x\r\ncontent-LENGTH:2\r\nRETRY-after: 7\r\n\r\nno", 429, "no", 7, false},
		{"a date to retry after is not looked at", "HTTP/1.1 503 x\r\nContent-Length: 0\r\nRetry-After: Tue, 1 Jan\r\n\r\n", 503, "", -1, false},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", -1, false},
		{"no reason", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", 200, "x", -1, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, "abc0123456789", -1, false},
		{"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", -1, true},
		{"the connection ends", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x", -1, true},
		{"1.0 ends it", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", -1, true},
		{"1.0 that does not", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", -1, false},
		{"an interim answer is not one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", -1, false},
		{"a long one", "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000), 200, strings.Repeat("x", 9000), -1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(tc.text), iotest.OneByteReader(strings.NewReader(tc.text))} {
				in, a := newInbox(), answer{}
				if err := in.read(src, &a); err != nil {
					t.Fatal(err)
				}
				if a.status != tc.status || string(a.body) != tc.body || a.retryAfter != tc.retry || a.close != tc.close {
					t.Errorf("got %d, %q, retry after %d, close %v", a.status, a.body, a.retryAfter, a.close)
				}
			}
		})
	}
}

func TestAnswersFollowEachOther(t *testing.T) {
	one := "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	src := iotest.HalfReader(strings.NewReader(strings.Repeat(one, 1000)))
	in, a := newInbox(), answer{}
	for i := range 1000 {
		if err := in.read(src, &a); err != nil || string(a.body) != "abc" {
			t.Fatalf("answer %d: %q, %v", i, a.body, err)
		}
	}
	if err := in.read(src, &a); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if len(in.buf) > 4096 {
		t.Errorf("it took %d bytes for answers of %d", len(in.buf), len(one))
	}
}

func TestReadAnswerThatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"not HTTP":                    "SSH-2.0-OpenSSH_9.7 and more\r\n\r\n",
		"a status that is none":       "HTTP/1.1 abc\r\n\r\n",
		"a length that is none":       "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"two lengths in one":          "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
		"a header without a colon":    "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"it ends in the head":         "HTTP/1.1 200 OK\r\nContent-",
		"it ends in the body":         "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
		"it ends in a chunk":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"too long a body":             "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
		"too large a chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
		"a head that does not end":    "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20000),
		"it ends before it began":     "",
		"a line without an end, ever": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			in, a := newInbox(), answer{}
			if err := in.read(strings.NewReader(text), &a); err == nil {
				t.Errorf("got %d, %q", a.status, a.body)
			}
		})
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 C\r\n\r\nHTTP/1.0 200 OK\r\n\r\nhello"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got [2]answer
		var errs [2]error
		for i, src := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text))} {
			in := newInbox()
			errs[i] = in.read(src, &got[i])
			got[i].body = bytes.Clone(got[i].body)
		}
		if (errs[0] == nil) != (errs[1] == nil) || errs[0] == nil && (got[0].status != got[1].status || !bytes.Equal(got[0].body, got[1].body)) {
			t.Errorf("at once %+v, %v; byte by byte %+v, %v", got[0], errs[0], got[1], errs[1])
		}
	})
}

func TestReadCounts(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		ok         bool
	}{
		{"an answer of sluice", `{"ack":"stored","accepted":97,"duplicates":1,"rejected":2,"failed":0,"errors":[]}`, true},
		{"a large one", `{"ack":"stored","accepted":999999999,"duplicates":0,"rejected":0,"failed":0}`, true},
		{"another server's", `{"status":"ok","accepted":1}`, false},
		{"a number that is none", `{"accepted":-1,"duplicates":1,"rejected":2,"failed":0}`, false},
		{"a number that is too large", `{"accepted":9999999999,"duplicates":1,"rejected":2,"failed":0}`, false},
		{"it ends early", `{"accepted":1,"duplicates":1,"rejected":2,"failed":`, false},
		{"nothing", ``, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := readCounts([]byte(tc.body))
			if ok != tc.ok {
				t.Fatalf("got %+v, %v", got, ok)
			}
			if !ok {
				return
			}
			var want struct{ Accepted, Duplicates, Rejected, Failed int }
			if err := json.Unmarshal([]byte(tc.body), &want); err != nil {
				t.Fatal(err)
			}
			if got != (counts{want.Accepted, want.Duplicates, want.Rejected, want.Failed}) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
