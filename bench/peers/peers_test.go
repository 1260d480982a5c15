// Package peers holds the comparators of `make bench-peers`; README.md tells of
// them. Its tests start those that are written in Go against real servers.
package peers

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/gocql/gocql"
	"github.com/rcrowley/go-metrics"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	metrics.UseNilMetrics = true // sarama's meters start a goroutine that nothing ends
	goleak.VerifyTestMain(m)
}

// patience is how long anything may take: the machine may be busy.
const patience = 60 * time.Second

// server returns the address of a real server, and fails the test where none
// answers.
func server(t *testing.T, variable, standard, port string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real servers")
	}
	addr := cmp.Or(os.Getenv(variable), standard)
	conn, err := net.DialTimeout("tcp", addr+port, 5*time.Second)
	if err != nil {
		t.Fatalf("nothing answers at %s: run `make stack-up`, name another with %s, or test with -short (%v)", addr+port, variable, err)
	}
	conn.Close()
	return addr
}

// unique returns a name for a topic or a keyspace that no other run uses.
func unique() string {
	return fmt.Sprintf("peers_test_%d_%d", os.Getpid(), time.Now().UnixMilli()%1_000_000_000)
}

// start builds the comparator, starts it, and returns its address once it serves.
// When the test ends it is asked to stop, and has to.
func start(t *testing.T, name string, args ...string) (addr string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", name, err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = listener.Addr().String()
	listener.Close()
	var log bytes.Buffer
	cmd := exec.Command(binary, append(args, "--addr="+addr)...)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s ended with %v:\n%s", name, err, log.String())
			}
		case <-time.After(patience):
			cmd.Process.Kill()
			<-ended
			t.Errorf("%s did not stop:\n%s", name, log.String())
		}
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", name, err)
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended at once: %v\n%s", name, err, log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func event(n int) string {
	return fmt.Sprintf(`{"id":"e%d","type":"test","user":"u%d","ts":1764000000000,"text":%q}`, n, n%7, strings.Repeat("x", 400))
}

// post sends a request and wants the status; the connection is not kept.
func post(t *testing.T, addr, contentType, body string, want int) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post("http://"+addr+"/v1/events", contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != want {
		t.Fatalf("got %s, want %d: %s", answer.Status, want, said)
	}
}

// send sends 100 single events, 100 as NDJSON, and requests that are not valid.
func send(t *testing.T, addr string) {
	t.Helper()
	for n := range 100 {
		post(t, addr, "application/json", event(n), http.StatusOK)
	}
	var lines strings.Builder
	for n := range 100 {
		lines.WriteString(event(100+n) + "\n")
	}
	post(t, addr, "application/x-ndjson", lines.String(), http.StatusOK)
	for _, bad := range []string{`{"id":"e","type":"t","ts":1}`, `["id","type","user","ts"]`, `{"id":`, event(1) + event(2)} {
		post(t, addr, "application/json", bad, http.StatusBadRequest)
	}
	post(t, addr, "application/x-ndjson", event(300)+"\n{}\n", http.StatusBadRequest)
}

// TestBareStoresWhatItAccepts: the end offsets are the number of accepted events,
// and no event of a request that is not valid is stored.
func TestBareStoresWhatItAccepts(t *testing.T) {
	broker, topic := server(t, "SLUICE_TEST_KAFKA", "127.0.0.1:19092", ""), unique()
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	client, err := sarama.NewClient([]string{broker}, conf)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close() // and the client
	const partitions = 3
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	defer admin.DeleteTopic(topic)

	send(t, start(t, "bare", "--brokers="+broker, "--topic="+topic))
	if err := client.RefreshMetadata(topic); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for p := range int32(partitions) {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		total += end
	}
	if total != 200 {
		t.Errorf("%d events are in the topic, want 200", total)
	}
}

// TestBareSyncsToAFile: the file has a line for each accepted event.
func TestBareSyncsToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.ndjson")
	send(t, start(t, "bare", "--mode=file", "--file="+path))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 200 || lines[0] != event(0) || lines[199] != event(199) {
		t.Errorf("the file has %d lines, want the 200 events as they were sent", len(lines))
	}
}

// TestCassandraEachStoresWhatItAccepts, in either layout.
func TestCassandraEachStoresWhatItAccepts(t *testing.T) {
	host := server(t, "SLUICE_TEST_CASSANDRA", "127.0.0.11", ":9042")
	for _, by := range []string{"shard", "user"} {
		t.Run("partitions of one "+by, func(t *testing.T) {
			keyspace := unique() + by
			d := gocql.NewCluster(host)
			d.ProtoVersion, d.Timeout, d.ConnectTimeout = 4, patience, patience
			session, err := d.CreateSession()
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			defer session.Query("DROP KEYSPACE IF EXISTS " + keyspace).Exec()

			send(t, start(t, "cassandra-each", "--hosts="+host, "--keyspace="+keyspace, "--replication=1", "--partition-by="+by))
			var count int
			if err := session.Query("SELECT count(*) FROM " + keyspace + ".events").Consistency(gocql.Quorum).Scan(&count); err != nil {
				t.Fatal(err)
			}
			if count != 200 {
				t.Errorf("%d rows, want 200", count)
			}
		})
	}
}
