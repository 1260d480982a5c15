package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"sluice/event"
)

var update = flag.Bool("update", false, "write what the tests expect anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment is what ${…} finds in tests.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"PORT":      "not-a-port",
		"WORD":      "word",
		"EMPTY":     "",
		"STRUCTURE": "{acme: {keys: []}}",
		"SECRET":    "hunter2-env",
		"N":         "123",
		"BUDGET":    "32MiB",
		"AGAIN":     "${N}",
	}[name]
	return v, ok
}

// hashes for tests, as a configuration holds them.
var (
	hashA = HashKey("a").String()
	hashB = HashKey("b").String()
)

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "sluice.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problemsOf returns what is wrong with text, a line each without excerpts.
func problemsOf(t *testing.T, text string) string {
	t.Helper()
	_, err := Parse([]byte(text), "f", environment)
	var wrong *Error
	if err != nil && !errors.As(err, &wrong) {
		t.Fatalf("not an *Error: %v", err)
	}
	var lines []string
	if wrong != nil {
		for _, p := range wrong.Problems {
			p.Excerpt = ""
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// TestWrongFiles holds each file in testdata/wrong against what was said about
// it before, in the .txt beside it.
func TestWrongFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(file, environment)
			var wrong *Error
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v", err)
			}
			for _, p := range wrong.Problems {
				if p.Line < 1 || p.Column < 1 || p.File != file || p.Message == "" {
					t.Errorf("incomplete: %+v", p)
				}
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("it shows a secret:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestTenantsInheritKeyByKey(t *testing.T) {
	c := mustParse(t, `
tenants:
  a: {keys: ["`+hashA+`"], budget: {per_user: 5}, ttl: 0, batch: {linger: 5ms}}
  b: {keys: ["`+hashB+`"], pools: {writers: 9}}
defaults:
  budget: {bytes: 32MiB, per_user: 7}
  users: {dedupe: {window: 7d}}
  ttl: 30d
  ack: {weakest: stored}
sinks: {local: {kind: local, ttl: 1d}}
`)
	a, b := c.Tenants["a"], c.Tenants["b"]
	day30 := 30 * Duration(day)
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"a tenant's own setting wins", a.Budget.PerUser, 5},
		{"its neighbours in the same block are inherited", a.Budget.Bytes, Size(32 << 20)},
		{"what nobody sets is built in", a.Budget.Events, 65536},
		{"a tenant without its own takes the default's", b.Budget.PerUser, 7},
		{"deep settings are inherited", b.Users.Dedupe, Dedupe{7 * Duration(day), 4096}},
		{"a ttl of 0 is a setting", *a.TTL, Duration(0)},
		{"a ttl is inherited", *b.TTL, day30},
		{"one tenant does not touch another", a.Pools.Writers, 8},
		{"an own pool", b.Pools.Writers, 9},
		{"an own linger", a.Batch.Linger, Linger{Wait: 5 * time.Millisecond}},
		{"the built-in linger", b.Batch.Linger, Linger{Auto: true}},
		{"the only sink is the default", a.Sink, Names{"local"}},
		{"an inherited level", a.Ack, AckPolicy{event.AckStored, event.AckStored}},
		{"the tenant's ttl beats the sink's", c.TTL("a", "local"), Duration(0)},
		{"fields convert", event.Fields(a.Fields), event.DefaultFields()},
		{"keys are their hash", a.Keys, []KeyHash{HashKey("a")}},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestTheTTLOfASinkHoldsWhereNoTenantHasOne(t *testing.T) {
	c := mustParse(t, `{sinks: {l: {kind: local, ttl: 1d}}, tenants: {a: {keys: ["`+hashA+`"]}}}`)
	if got := c.TTL("a", "l"); got != Duration(day) {
		t.Errorf("got %v", got)
	}
}

func TestSinksHaveTheDefaultsOfTheirKind(t *testing.T) {
	c := mustParse(t, `
sinks:
  l: {kind: local, retry: {max: 9s}}
  k: {topic: "events.{tenant}", kind: kafka, brokers: ["h:1"], sasl: {mechanism: PLAIN, user: u, password: "123"}}
  c: {kind: cassandra, replication: {class: NetworkTopologyStrategy, datacenters: {dc1: 3, "dc-2": 2}}}
tenants: {a: {keys: ["`+hashA+`"], sink: [k, c, l]}}
`)
	l, k, cs := c.Sinks["l"], c.Sinks["k"], c.Sinks["c"]
	if l.Kafka != nil || l.Cassandra != nil || l.Local.Bucket != Duration(day) || l.Retry.Max != Duration(9*time.Second) {
		t.Errorf("local: %+v", l)
	}
	if k.Kafka.Topic != "events.{tenant}" || k.Kafka.Compression != "zstd" || k.Kafka.SASL.Password.Reveal() != "123" || k.Timeout != Duration(5*time.Second) {
		t.Errorf("kafka: %+v", k.Kafka)
	}
	if cs.Cassandra.Shards != 16 || cs.Cassandra.Replication.Datacenters["dc-2"] != 2 {
		t.Errorf("cassandra: %+v", cs.Cassandra)
	}
	if want := (Names{"k", "c", "l"}); !reflect.DeepEqual(c.Tenants["a"].Sink, want) {
		t.Errorf("the order of sinks: %v", c.Tenants["a"].Sink)
	}
}

func TestEnvironment(t *testing.T) {
	for _, tc := range []struct{ name, in, want, err string }{
		{"no variable", "plain $HOME $", "plain $HOME $", ""},
		{"one", "${N}", "123", ""},
		{"several among text", "a${N}b${WORD}c", "a123bwordc", ""},
		{"a default that is not needed", "${N:-5}", "123", ""},
		{"a default for what is not set", "${NOWHERE:-5}", "5", ""},
		{"a default for what is empty", "${EMPTY:-5}", "5", ""},
		{"an empty default", "x${NOWHERE:-}", "x", ""},
		{"empty without a default", "x${EMPTY}", "x", ""},
		{"what a variable holds is not expanded again", "${AGAIN}", "${N}", ""},
		{"a literal", "$${N}", "${N}", ""},
		{"not set", "${NOWHERE}", "", "NOWHERE is not set"},
		{"not closed", "${N", "", "without its }"},
		{"not a name", "${N N}", "", "not the name"},
		{"no name", "${}", "", "not the name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _, err := expand(tc.in, environment)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestVariablesHoldValuesOfAnyType(t *testing.T) {
	c := mustParse(t, `
dir: ${N}
data: {max_events: "${N}"}
tenants:
  a:
    keys: ["`+hashA+`"]
    budget: {bytes: "${BUDGET}"}
`)
	if c.Dir != "123" || c.Data.MaxEvents != 123 || c.Tenants["a"].Budget.Bytes != 32<<20 {
		t.Errorf("got %q %d %v", c.Dir, c.Data.MaxEvents, c.Tenants["a"].Budget.Bytes)
	}
	if got := problemsOf(t, `{"${N}": 5, tenants: {a: {keys: ["`+hashA+`"]}}}`); !strings.Contains(got, "${N}: unknown key") {
		t.Errorf("a key was expanded: %s", got)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c := mustParse(t, `
sinks:
  a: &cluster {kind: kafka, brokers: ["h:1"], topic: a, partitions: 3}
  b: {<<: *cluster, topic: b}
  c: {<<: [{partitions: 9}, *cluster], compression: lz4}
tenants: {x: {keys: ["`+hashA+`"], sink: [a, b, c]}}
`)
	b, cc := c.Sinks["b"].Kafka, c.Sinks["c"].Kafka
	if b.Topic != "b" || b.Partitions != 3 || b.Brokers[0] != "h:1" {
		t.Errorf("b: %+v", b)
	}
	if cc.Topic != "a" || cc.Partitions != 9 || cc.Compression != "lz4" {
		t.Errorf("c: %+v", cc)
	}
}

func TestHostileFilesEndQuickly(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("l0: &l0 {ttl: 1d}\n")
	for i := 1; i < 30; i++ {
		prev := "*l" + strconv.Itoa(i-1)
		laughs.WriteString("l" + strconv.Itoa(i) + ": &l" + strconv.Itoa(i) + " {k1: " + strings.Join([]string{prev, "k2: " + prev, "k3: " + prev}, ", ") + "}\n")
	}
	var wide strings.Builder
	wide.WriteString("tenants:\n  t0: &t {keys: [")
	for range 2000 {
		wide.WriteString(`"` + hashA + `",`)
	}
	wide.WriteString("]}\n")
	for i := 1; i < 2000; i++ {
		wide.WriteString("  t" + strconv.Itoa(i) + ": *t\n")
	}
	for name, text := range map[string]string{
		"lists in lists":              strings.Repeat("[", 100_000),
		"mappings in mappings":        strings.Repeat("{a: ", 50_000),
		"sequences on one line":       strings.Repeat("- ", 50_000),
		"keys on one line":            strings.Repeat("? ", 50_000),
		"anchors on one line":         "a: " + strings.Repeat("&a ", 50_000),
		"a billion laughs":            laughs.String(),
		"wide aliases":                wide.String(),
		"a file that is too large":    strings.Repeat("# comment\n", 200_000),
		"zero bytes":                  "a: \x00",
		"not UTF-8":                   "dir: \xff\xfe",
		"an alias of itself":          "a: &a [*a]",
		"an alias of what comes next": "a: *b\nb: &b 1",
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			got := problemsOf(t, text)
			if got == "" || len(got) > 4<<20 {
				t.Errorf("%d bytes of problems", len(got))
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestAByteOrderMarkAndCRLFAreNoMistake(t *testing.T) {
	c := mustParse(t, "\xEF\xBB\xBFdir: /x\r\ntenants:\r\n  a:\r\n    keys: [\""+hashA+"\"]\r\n")
	if c.Dir != "/x" || len(c.Tenants["a"].Keys) != 1 {
		t.Errorf("got %+v", c)
	}
}

func TestProblemsAreWhereTheyAre(t *testing.T) {
	line := "tenants: {ä: {}, a: {keys: [\"" + hashA + "\"], pools: {parsers: 0}}}"
	got := problemsOf(t, "dir: x # ä\n\"dät\": 1\n"+line+"\n")
	column := strconv.Itoa(utf8.RuneCountInString(line[:strings.Index(line, "parsers")]) + 1)
	want := `f:2:1: dät: unknown key (did you mean "data"?)
f:3:11: tenants.ä: not a name: want 1 to 64 letters, digits, and . _ - after the first
f:3:` + column + `: tenants.a.pools.parsers: want 1 to 1024, got 0`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
