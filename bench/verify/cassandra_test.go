package verify

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

// authority returns the file with the CA of the servers of dev/stack.
func authority(t *testing.T, variable string) string {
	t.Helper()
	path := cmp.Or(os.Getenv(variable), filepath.Join("..", "..", ".cache", "stack", "tls", "ca.pem"))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the CA of the servers with TLS is not there (%v): run `make stack-up`, or say where it is with %s", err, variable)
	}
	return path
}

// newTable makes a table of the layout that sluice documents, in a keyspace of its
// own, and returns a session to fill it.
func newTable(t *testing.T, o Options, primaryKey string) (Options, *gocql.Session) {
	t.Helper()
	session, err := cassandraSession(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Keyspace, o.Table = unique(), "events"
	t.Cleanup(func() {
		if err := session.Query("DROP KEYSPACE IF EXISTS " + o.Keyspace).Exec(); err != nil {
			t.Errorf("dropping the keyspace: %v", err)
		}
		session.Close()
	})
	for _, cql := range []string{
		"CREATE KEYSPACE " + o.Keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"CREATE TABLE " + o.Keyspace + ".events (tenant text, bucket timestamp, shard int, user text, ts timestamp, id text, type text, received bigint, data text, PRIMARY KEY (" + primaryKey + "))",
	} {
		if err := session.Query(cql).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	return o, session
}

// TestCassandra plants faults in both layouts of a real table.
func TestCassandra(t *testing.T) {
	node := server(t, "Cassandra", "SLUICE_TEST_CASSANDRA", "127.0.0.11", ":9042")
	for name, key := range map[string]string{"by shard": "(tenant, bucket, shard), user, ts, id", "by user": "(tenant, user, bucket), ts, id"} {
		t.Run(name, func(t *testing.T) {
			o, session := newTable(t, Options{Sink: Cassandra, Hosts: []string{node}}, key)
			put := func(user string, ts int, id string) {
				t.Helper()
				err := session.Query("INSERT INTO "+o.Keyspace+".events (tenant, bucket, shard, user, ts, id, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
					"acme", int64(ts/100), ts%3, user, int64(ts), id, "{}").Exec()
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Mark(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			conn := strings.Repeat("a", 300)
			l := script("5eed", conn, "ru")
			for n := range 300 {
				if n != 17 { // lost
					put(fmt.Sprint("u", n%7), n, l.ID(0, n))
				}
			}
			put("u2", 900, "5eed-0-5") // a second time, with another time
			put("u2", 1, "feed-0-1")
			put("u2", 2, "5eed-1-0")
			put("u2", 3, "5eed-7-7")
			var told []Progress
			o.Progress = func(p Progress) { told = append(told, p) }
			v, err := Run(t.Context(), o, l)
			if err != nil {
				t.Fatal(err)
			}
			if v.Sink != Cassandra {
				t.Errorf("the sink is %q", v.Sink)
			}
			for i, e := range v.Examples { // the two that are unasked come in the order of tokens
				if strings.Contains(e, "never sent") {
					v.Examples = append(append(v.Examples[:i:i], v.Examples[i+1:]...), e)
				}
			}
			expect(t, v, "found 300 lost 1 doubled 1 disordered 0 unasked 2",
				"5eed-0-17 of u2 is lost: its outcome was accepted",
				"5eed-0-5 of u2 is in the sink more than once",
				"5eed-1-0 of u2 is in the sink, and its outcome was: refused",
				`"5eed-7-7" is in the sink, and was never sent`)
			if len(told) != tableParts || told[len(told)-1] != (Progress{tableParts, tableParts, "parts of the table"}) {
				t.Errorf("progress %+v", told)
			}
		})
	}
}

func TestCassandraErrors(t *testing.T) {
	node := server(t, "Cassandra", "SLUICE_TEST_CASSANDRA", "127.0.0.11", ":9042")
	o := Options{Sink: Cassandra, Hosts: []string{node}, Keyspace: "nowhere", Table: "events"}
	if _, err := Mark(t.Context(), o); err == nil || !strings.Contains(err.Error(), "there is no table nowhere.events") {
		t.Errorf("a table that is not there: %v", err)
	}
	o.Keyspace, o.Table = "system", "peers"
	if _, err := Mark(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no column id") {
		t.Errorf("a table that is none of sluice's: %v", err)
	}
	o.Hosts = []string{"127.0.0.1:1"}
	if _, err := Run(t.Context(), o, script("5eed")); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody at the address: %v", err)
	}
}

// TestCassandraOverTLS also logs in.
func TestCassandraOverTLS(t *testing.T) {
	node := server(t, "Cassandra with accounts", "SLUICE_TEST_CASSANDRA_AUTH", "127.0.0.12", ":9042")
	t.Setenv("VERIFY_TEST_PASSWORD", "cassandra")
	o, err := Parse("cassandra://cassandra:${VERIFY_TEST_PASSWORD}@" + node + "/k.events?tls=true&ca=" + authority(t, "SLUICE_CASSANDRA_AUTH_CA"))
	if err != nil {
		t.Fatal(err)
	}
	o, session := newTable(t, o, "(tenant, user, bucket), ts, id")
	if err := session.Query("INSERT INTO " + o.Keyspace + ".events (tenant, user, bucket, ts, id) VALUES ('acme', 'u2', 0, 0, '5eed-0-0')").Exec(); err != nil {
		t.Fatal(err)
	}
	v, err := Run(t.Context(), o, script("5eed", "a"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, "found 1 lost 0 doubled 0 disordered 0 unasked 0")
}
