package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parseSend parses the arguments of `sluice send`.
func parseSend(args ...string) (sendCmd, error) {
	var cmd sendCmd
	parser, err := kong.New(&cmd)
	if err == nil {
		_, err = parser.Parse(args)
	}
	return cmd, err
}

// sent is what one run of `sluice send` came to.
type sent struct {
	sendSummary
	exit   int
	stderr string
}

// runSend runs `sluice send --json` with the key of fake gateways.
func runSend(t *testing.T, in io.Reader, args ...string) sent {
	t.Helper()
	return runSendUntil(t, t.Context(), in, args...)
}

func runSendUntil(t *testing.T, ctx context.Context, in io.Reader, args ...string) sent {
	t.Helper()
	cmd, err := parseSend(append([]string{"--json", "--key=key"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	std := stdio{In: in, Out: &out, Err: &errOut}
	result := sent{exit: finish(std, cmd.Run(ctx, std))}
	result.stderr = errOut.String()
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &result.sendSummary); err != nil {
			t.Fatalf("the summary is %q: %v", out.String(), err)
		}
	}
	return result
}

// lines makes n events of 10 users, with ids or without.
func lines(n int, ids bool) []string {
	out := make([]string, n)
	for i := range out {
		id := ""
		if ids {
			id = fmt.Sprintf(`"id":"e%d",`, i)
		}
		out[i] = fmt.Sprintf(`{%s"type":"t","user":"u%d", "seq":%d}`, id, i%10, i)
	}
	return out
}

func writeFile(t *testing.T, name string, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendWrongUse(t *testing.T) {
	file := writeFile(t, "a.ndjson", "{}")
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"a file that is not there", "no such file", []string{file + "x"}},
		{"a glob that matches nothing", "no file matches", []string{file + "x*"}},
		{"a folder", "is a directory: name its files", []string{filepath.Dir(file)}},
		{"the standard input twice", "only once", []string{"-", "-"}},
		{"a batch too large", "--batch is 1001", []string{"--batch=1001", file}},
		{"no request at once", "--concurrency is 0", []string{"--concurrency=0", file}},
		{"a URL that is none", "--url is", []string{"--url=localhost:8080", file}},
		{"a pointer that is none", "--user-pointer or --id-pointer: fields.user", []string{"--user-pointer=user", file}},
		{"no key", "no key: use --key-file", []string{"--key=", file}},
		{"a key file that is not there", "--key-file", []string{"--key-file=" + file + "x", file}},
		{"a key with a line break", "characters that no key has", []string{"--key=a\nb", file}},
		{"a rate below nothing", "--rate", []string{"--rate=-1", file}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := runSend(t, nil, tc.args...)
			if r.exit != exitUsage || !strings.Contains(r.stderr, tc.want) {
				t.Errorf("exit %d: %s", r.exit, r.stderr)
			}
		})
	}
}

// TestSendManualNamesEveryFlag holds docs/send.md against the command line.
func TestSendManualNamesEveryFlag(t *testing.T) {
	manual, err := os.ReadFile("../../docs/send.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&sendCmd{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.Flags {
		if flag.Name != "help" && !bytes.Contains(manual, []byte("`--"+flag.Name)) {
			t.Errorf("docs/send.md does not know --%s", flag.Name)
		}
	}
	var summary map[string]any
	b, err := json.Marshal(sendSummary{})
	if err == nil {
		err = json.Unmarshal(b, &summary)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name := range summary {
		if !bytes.Contains(manual, []byte("`"+name+"`")) {
			t.Errorf("docs/send.md does not know %s of the summary", name)
		}
	}
}
