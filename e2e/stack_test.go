package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kafkaAddr returns the broker's address, and fails the test where none
// answers.
func kafkaAddr(t *testing.T) string {
	t.Helper()
	return server(t, "Kafka", "SLUICE_TEST_KAFKA", "127.0.0.1:19092", "")
}

// cassandraAddr returns the node's host, which listens on port 9042.
func cassandraAddr(t *testing.T) string {
	t.Helper()
	return server(t, "Cassandra", "SLUICE_TEST_CASSANDRA", "127.0.0.11", ":9042")
}

func server(t *testing.T, what, variable, standard, port string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real " + what)
	}
	addr := cmp.Or(os.Getenv(variable), standard)
	conn, err := net.DialTimeout("tcp", addr+port, 5*time.Second)
	if err != nil {
		t.Fatalf("no %s at %s: run `make stack-up`, name another with %s, or test with -short (%v)", what, addr+port, variable, err)
	}
	conn.Close()
	return addr
}

var names atomic.Int64

// unique returns a name that no other test uses, for a topic or a keyspace.
func unique() string {
	return fmt.Sprintf("e2e_%d_%d_%d", os.Getpid(), time.Now().UnixMilli()%1_000_000_000, names.Add(1))
}

// record is a record as dev/readback/kafka prints it.
type record struct {
	Topic     string
	Partition int
	Offset    int64
	Timestamp int64
	Key       string
	Headers   map[string]string
	Value     string
}

func (r *record) where() string { return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset) }

// readKafka returns everything that is in the topic, read with kcat.
func readKafka(t *testing.T, topic string) []record {
	t.Helper()
	var all []record
	for line := range bytes.Lines(readback(t, "kafka", kafkaAddr(t), topic)) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("kcat says %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// byID returns the values of records by their header id.
func byID(records []record) map[string][]string {
	found := make(map[string][]string)
	for _, r := range records {
		found[r.Headers["id"]] = append(found[r.Headers["id"]], r.Value)
	}
	return found
}

// row is a row of the table of events as dev/readback/cassandra prints it,
// times in milliseconds and received in microseconds.
type row struct {
	Tenant   string
	Bucket   int64
	Shard    *int
	User     string
	TS       int64
	ID       string
	Type     string
	Received int64
	Data     string
}

// readCassandra returns the rows of keyspace.events, read with Cassandra's
// driver for Python.
func readCassandra(t *testing.T, keyspace string) []row {
	t.Helper()
	var all []row
	for line := range bytes.Lines(readback(t, "cassandra", cassandraAddr(t), keyspace+".events")) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("the driver says %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// readback runs one of the programs in dev/readback and returns its output.
func readback(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", "dev", "readback", program), args...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("dev/readback/%s %s: %v\n%s", program, strings.Join(args, " "), err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return out
}

var keyspaces struct {
	sync.Mutex
	made []string
}

// newKeyspace returns the name of a keyspace that does not exist yet, and is
// dropped when all tests are over.
func newKeyspace(t *testing.T) string {
	t.Helper()
	keyspaces.Lock()
	defer keyspaces.Unlock()
	name := unique()
	keyspaces.made = append(keyspaces.made, name)
	return name
}

// dropKeyspaces drops what tests have made: a node has memory for so many
// tables only.
func dropKeyspaces() {
	if len(keyspaces.made) == 0 {
		return
	}
	python, err := exec.Command(filepath.Join("..", "dev", "readback", "python")).Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyspaces are not dropped:", err)
		return
	}
	const script = `
import sys
from cassandra.cluster import Cluster
with Cluster([sys.argv[1]], protocol_version=5) as cluster:
    session = cluster.connect()
    for name in sys.argv[2:]:
        session.execute(f"DROP KEYSPACE IF EXISTS {name}", timeout=60)
`
	node := cmp.Or(os.Getenv("SLUICE_TEST_CASSANDRA"), "127.0.0.11")
	cmd := exec.Command(strings.TrimSpace(string(python)), append([]string{"-c", script, node}, keyspaces.made...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "keyspaces are not dropped: %v\n%s", err, out)
	}
}
