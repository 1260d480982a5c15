package verify

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bench/ledger"
	"sluice/bench/result"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// sarama's metrics library keeps one ticker for the process.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// gocql 1.7 can hang in closing a session; sinks/cassandra tells how.
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*refreshDebouncer).stop"),
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*Session).refreshRing"),
		goleak.IgnoreAnyFunction("github.com/gocql/gocql.(*Conn).awaitSchemaAgreement"))
}

// server returns the address of a real server. Without it a test fails, rather
// than pass for nothing.
func server(t *testing.T, what, variable, standard, port string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real " + what)
	}
	addr := cmp.Or(os.Getenv(variable), standard) + port
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatalf("no %s at %s: run `make stack-up`, name another with %s, or test with -short (%v)", what, addr, variable, err)
	}
	conn.Close()
	return addr
}

var names atomic.Int64

// unique returns a name that no other test uses, for a topic or a table.
func unique() string {
	return fmt.Sprintf("verify_%d_%d_%d", os.Getpid(), time.Now().UnixMilli()%1_000_000_000, names.Add(1))
}

// script writes a ledger down: a word a connection, a letter an event, in upper case
// of user 1, otherwise of user 2. a is accepted, d duplicate, u unknown, f failed, r
// refused, j rejected, n unsent.
func script(run string, conns ...string) *ledger.Ledger {
	l := &ledger.Ledger{Run: run}
	for _, conn := range conns {
		var entries []ledger.Entry
		for _, c := range conn {
			e := ledger.Entry{User: 2}
			if c < 'a' {
				e.User, c = 1, c+'a'-'A'
			}
			e.Outcome = map[rune]ledger.Outcome{'a': ledger.Accepted, 'd': ledger.Duplicate, 'u': ledger.Unknown, 'f': ledger.Failed,
				'r': ledger.Refused, 'j': ledger.Rejected, 'n': ledger.Unsent}[c]
			entries = append(entries, e)
		}
		l.Conns = append(l.Conns, entries)
	}
	return l
}

// summary is what a verdict comes to, in a line.
func summary(v *result.Verified) string {
	return fmt.Sprintf("found %d lost %d doubled %d disordered %d unasked %d", v.Found, v.Lost, v.Duplicate, v.OutOfOrder, v.Unasked)
}

func expect(t *testing.T, v *result.Verified, want string, examples ...string) {
	t.Helper()
	if got := summary(v); got != want {
		t.Errorf("%s\nwant %s\n%s", got, want, strings.Join(v.Examples, "\n"))
	}
	if len(examples) == 0 {
		examples = nil
	}
	if !reflect.DeepEqual(v.Examples, examples) {
		t.Errorf("it names\n%s\nwant\n%s", strings.Join(v.Examples, "\n"), strings.Join(examples, "\n"))
	}
}
