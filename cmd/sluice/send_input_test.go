package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestSendInputs(t *testing.T) {
	plain := strings.Join(lines(100, true), "\n")
	gz := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(s))
		z.Close()
		return b.String()
	}
	zst := func(s string) string {
		enc, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		return string(enc.EncodeAll([]byte(s), nil))
	}
	array := "[" + strings.Join(lines(100, true), ",\n ") + "]"
	pretty := strings.ReplaceAll(lines(1, true)[0], ",", ",\n  ")
	for _, tc := range []struct {
		name, file, content string
		stdin               bool
		want                int
		contentType         string
	}{
		{"NDJSON", "a.ndjson", plain, false, 100, "application/x-ndjson"},
		{"NDJSON with CRLF, blank lines and a BOM", "a.log", "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n\r\n \r\n"), false, 100, "application/x-ndjson"},
		{"NDJSON in gzip, whatever its name", "a.ndjson", gz(plain), false, 100, "application/x-ndjson"},
		{"NDJSON in several gzip members", "a", gz(plain[:1000]) + gz(plain[1000:]), false, 100, "application/x-ndjson"},
		{"NDJSON in zstd", "a.zst", zst(plain), false, 100, "application/x-ndjson"},
		{"NDJSON on the standard input", "", plain, true, 100, "application/x-ndjson"},
		{"a JSON array", "a.json", array, false, 100, "application/json"},
		{"a JSON array in zstd", "a.json.zst", zst(array), false, 100, "application/json"},
		{"a JSON array on the standard input", "", array, true, 100, "application/json"},
		{"one object over several lines", "a.json", pretty, false, 1, "application/json"},
		{"objects over several lines, one after another", "a.json", pretty + "\n" + strings.Replace(pretty, "e0", "x", 1), false, 2, "application/json"},
		{"an empty array", "a.json", "[]", false, 0, ""},
		{"an empty file", "a.ndjson", "", false, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			arg, in := "-", io.Reader(strings.NewReader(tc.content))
			if !tc.stdin {
				arg, in = writeFile(t, tc.file, tc.content), nil
			}
			r := runSend(t, in, "--url", g.URL, "--batch=30", arg)
			if r.exit != 0 || r.Accepted != int64(tc.want) || r.Sent != int64(tc.want) || !r.Complete {
				t.Fatalf("exit %d, %+v\n%s", r.exit, r.sendSummary, r.stderr)
			}
			if len(g.stored) != tc.want {
				t.Fatalf("%d events stored", len(g.stored))
			}
			for _, e := range g.stored {
				if !strings.Contains(tc.content, string(e.data)) && strings.HasPrefix(tc.content, "{") {
					t.Fatalf("%s was not sent as it is", e.data)
				}
			}
			if len(g.types) > 0 && g.types[0] != tc.contentType {
				t.Errorf("sent as %s", g.types[0])
			}
			if left, _ := filepath.Glob(filepath.Dir(arg) + "/*" + stateSuffix); !tc.stdin && len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSendGlobsInOrder(t *testing.T) {
	g := newFakeGateway(t)
	dir := t.TempDir()
	all := lines(90, true)
	for i := range 3 {
		name := filepath.Join(dir, fmt.Sprintf("part-%d.ndjson", i))
		if err := os.WriteFile(name, []byte(strings.Join(all[i*30:i*30+30], "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := runSend(t, nil, "--url", g.URL, "--concurrency=1", "--batch=7", filepath.Join(dir, "part-*.ndjson"))
	if r.exit != 0 || !slices.IsSorted(g.seqs()) || len(g.seqs()) != 90 {
		t.Errorf("%+v %v\n%s", r, g.seqs(), r.stderr)
	}
}

func TestSendAssignsIDs(t *testing.T) {
	g := newFakeGateway(t)
	events := append(lines(50, false), lines(50, true)...)
	file := writeFile(t, "a.ndjson", strings.Join(events, "\n")+"\n"+`{"id":null,"user":"n","seq":1}`)
	for range 2 {
		if r := runSend(t, nil, "--url", g.URL, "--assign-ids", file); r.exit != 0 || r.Accepted+r.Duplicates != 101 || len(g.stored) != 101 {
			t.Fatalf("%+v\n%s", r, r.stderr)
		}
	}
	for _, e := range g.stored {
		id, _ := e.ID.(string)
		if len(id) != 36 && !strings.HasPrefix(id, "e") || len(id) == 36 && id[14] != '8' {
			t.Errorf("%s has no id", e.data)
		}
	}
}

func TestSendReportsWhatIsTooLong(t *testing.T) {
	g := newFakeGateway(t)
	long := `{"id":"long","user":"u","pad":"` + strings.Repeat("x", 300_000) + `"}`
	all := lines(3, true)
	for _, tc := range []struct{ name, content string }{
		{"a.ndjson", strings.Join([]string{all[0], long, all[1], long, all[2], long}, "\n")},
		{"b.json", "[" + strings.Join([]string{all[0], long, all[1], long, all[2], long}, ",") + "]"},
	} {
		g.stored, g.ids = nil, map[string]bool{}
		r := runSend(t, nil, "--url", g.URL, writeFile(t, tc.name, tc.content))
		if r.exit != 1 || r.Accepted != 3 || r.Rejected != 3 || r.Sent != 3 || !r.Complete ||
			!strings.Contains(r.stderr, tc.name+":4: rejected: event_too_large: the event is larger than 262144 bytes (--max-event) and was not sent") {
			t.Errorf("%s: %+v\n%s", tc.name, r, r.stderr)
		}
	}
}

func TestSendOfBrokenInputsSendsWhatComesBefore(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(strings.Join(lines(1000, true), "\n")))
	w.Close()
	for _, tc := range []struct {
		name, content, want string
		accepted            int64
	}{
		{"cut.json", "[" + strings.Join(lines(5, true), ","), "cut.json: not JSON at value 6: unexpected EOF", 5},
		{"bad.json", "[" + strings.Join(lines(5, true), ",") + ", oops]", "bad.json: not JSON at value 6: invalid character 'o' at start of value", 5},
		{"more.json", "[" + strings.Join(lines(5, true), ",") + "] x", "there is something after the end of the array", 5},
		{"cut.gz", z.String()[:z.Len()-20], "cut.gz: unexpected EOF", -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newFakeGateway(t)
			r := runSend(t, nil, "--url", g.URL, writeFile(t, tc.name, tc.content))
			if r.exit != 1 || r.Complete || !strings.Contains(r.stderr, tc.want) || tc.accepted >= 0 && r.Accepted != tc.accepted {
				t.Errorf("%+v\n%s", r, r.stderr)
			}
		})
	}
}
