//go:build fault

package kafka

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stack runs dev/stack, which owns the brokers.
func stack(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", "dev", "stack"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dev/stack %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const threeBrokers = "127.0.0.1:29092,127.0.0.1:29093,127.0.0.1:29094"

// node returns the name that dev/stack has for the broker at addr.
func node(t *testing.T, addr string) string {
	for i, known := range strings.Split(threeBrokers, ",") {
		if addr == known {
			return []string{"kafka3-1", "kafka3-2", "kafka3-3"}[i]
		}
	}
	t.Fatalf("no node is at %s", addr)
	return ""
}

// TestKilledBrokersLoseAndDoubleNothing kills, of three brokers with
// min.insync.replicas 2, the leader, then two, and starts them again, under
// load.
func TestKilledBrokersLoseAndDoubleNothing(t *testing.T) {
	brokers := needKafka(t, "SLUICE_TEST_KAFKA3", threeBrokers)
	const lanes = 6
	topic := newTopicName(t)
	s := open(t, Config{
		Brokers: strings.Split(brokers, ","), Topic: topic, CreateTopics: true, Partitions: lanes, Replication: 3,
		Timeout: 3 * time.Second, Compression: "zstd",
	}).Tenant("acme").(*Sink)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := begin(t, s, lanes, 4*time.Second)
	k.progress(t, 5000)

	for range 2 {
		leader := node(t, s.topic.layout.Load().parts[0].addr)
		t.Logf("killing %s, which leads partition 0", leader)
		stack(t, "kill", leader)
		k.progress(t, 5000)
		stack(t, "start", leader)
		wellAgain(t, s)
		k.progress(t, 5000)
	}

	t.Log("killing two of three")
	first := node(t, s.topic.layout.Load().parts[0].addr)
	second := "kafka3-1"
	if first == second {
		second = "kafka3-2"
	}
	stack(t, "kill", first)
	stack(t, "kill", second)
	eventually(t, time.Minute, func() error {
		if err := s.Probe(t.Context()); err != nil {
			t.Logf("the probe says: %v", err)
			return nil
		}
		return errStillWell
	})
	stack(t, "start", first)
	stack(t, "start", second)
	wellAgain(t, s)
	k.progress(t, 5000)
	k.end(t, brokers, topic)
}

// TestRestartedBrokerLosesAndDoublesNothing kills the only broker under load.
func TestRestartedBrokerLosesAndDoublesNothing(t *testing.T) {
	broker := realKafka(t)
	const lanes = 4
	topic := newTopicName(t)
	s := open(t, Config{
		Brokers: []string{broker}, Topic: topic, CreateTopics: true, Partitions: lanes, Replication: 1, Timeout: 3 * time.Second,
	}).Tenant("acme").(*Sink)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := begin(t, s, lanes, 4*time.Second)
	for _, how := range []string{"stop", "kill"} {
		k.progress(t, 5000)
		stack(t, how, "kafka1")
		stack(t, "start", "kafka1")
		wellAgain(t, s)
	}
	k.progress(t, 5000)
	k.end(t, broker, topic)
}

type stillWell struct{}

func (stillWell) Error() string { return "the probe finds nothing wrong" }

var errStillWell = stillWell{}

func wellAgain(t *testing.T, s *Sink) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error { return s.Probe(t.Context()) })
}
