package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"sluice/sinks"
)

// probe returns what a new cluster's probe says.
func probe(t *testing.T, cfg Config) error {
	t.Helper()
	c := open(t, cfg)
	s := c.Tenant("acme")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.Probe(ctx)
}

// TestProbeSaysWhatWouldBeRight goes through an operator's mistakes.
func TestProbeSaysWhatWouldBeRight(t *testing.T) {
	broker := realKafka(t)
	silent := silence(t)
	for _, tc := range []struct {
		name string
		cfg  Config
		want []string // empty: well
	}{
		{"a topic that is to be created", Config{CreateTopics: true, Partitions: 2, Replication: 1}, nil},
		{"a topic that is not there", Config{}, []string{"does not exist", "create it or set create_topics: true"}},
		{"more replicas than brokers", Config{CreateTopics: true, Replication: 30}, []string{
			"could not be created with partitions: 6, replication: 30", "replication factor"}},
		{"nobody at the address", Config{Brokers: []string{"127.0.0.1:1"}}, []string{"127.0.0.1:1 is not reachable", "connection refused"}},
		{"nobody at any address", Config{Brokers: []string{"127.0.0.1:1", "127.0.0.1:2"}}, []string{"no broker answered", "127.0.0.1:1", "127.0.0.1:2"}},
		{"one dead broker among good ones", Config{Brokers: []string{"127.0.0.1:1", broker}, CreateTopics: true, Replication: 1}, nil},
		{"an address that does not answer", Config{Brokers: []string{silent}, Timeout: 300 * time.Millisecond}, []string{silent, "did not answer in time"}},
		{"TLS on a port without", Config{TLS: TLS{Enabled: true, InsecureSkipVerify: true}, Timeout: 2 * time.Second}, []string{broker, "does this port want TLS without sasl"}},
		{"sasl on a port without", Config{SASL: SASL{"PLAIN", "sluice", "hunter2"}, Timeout: 2 * time.Second}, []string{broker, "sasl"}},
		{"a name no topic can have", Config{Topic: "events.{tenant}"}, []string{"does not exist"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.cfg.Topic == "" {
				tc.cfg.Topic = newTopicName(t)
			}
			if tc.cfg.Brokers == nil {
				tc.cfg.Brokers = []string{broker}
			}
			check(t, probe(t, tc.cfg), tc.want)
		})
	}
}

func check(t *testing.T, err error, want []string) {
	t.Helper()
	if len(want) == 0 {
		if err != nil {
			t.Errorf("Probe: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("Probe says all is well, want %q", want)
	}
	t.Logf("the probe says: %v", err)
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Probe: %v\ndoes not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "sluice-secret") {
		t.Errorf("Probe tells the password: %v", err)
	}
}

// silence returns an address that takes connections and never answers.
func silence(t *testing.T) string {
	f := newFakeBroker(t, 1)
	f.mu.Lock()
	f.mute = true
	f.mu.Unlock()
	return f.addr()
}

// TestCredentials writes and probes through the listeners that want them. Their
// addresses and files are dev/stack's.
func TestCredentials(t *testing.T) {
	realKafka(t)
	sasl := needKafka(t, "SLUICE_TEST_KAFKA_SASL", "127.0.0.1:19093")
	encrypted := needKafka(t, "SLUICE_TEST_KAFKA_TLS", "127.0.0.1:19094")
	both := needKafka(t, "SLUICE_TEST_KAFKA_SASL_TLS", "127.0.0.1:19095")
	dir := os.Getenv("SLUICE_TEST_KAFKA_CERTS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "stack", "tls")
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	ca := TLS{Enabled: true, CAFile: file("ca.pem")}
	mutual := TLS{Enabled: true, CAFile: file("ca.pem"), CertFile: file("client.pem"), KeyFile: file("client.key")}
	good := func(mechanism string) SASL { return SASL{mechanism, "sluice", "sluice-secret"} }
	for _, tc := range []struct {
		name string
		addr string
		tls  TLS
		sasl SASL
		want []string // empty: well
	}{
		{"PLAIN", sasl, TLS{}, good("PLAIN"), nil},
		{"SCRAM-SHA-256", sasl, TLS{}, good("SCRAM-SHA-256"), nil},
		{"SCRAM-SHA-512", sasl, TLS{}, good("SCRAM-SHA-512"), nil},
		{"TLS with our own authority", encrypted, ca, SASL{}, nil},
		{"TLS with a certificate of ours", encrypted, mutual, SASL{}, nil},
		{"TLS that trusts anybody", encrypted, TLS{Enabled: true, InsecureSkipVerify: true}, SASL{}, nil},
		{"TLS and SCRAM-SHA-512", both, ca, good("SCRAM-SHA-512"), nil},
		{"TLS and PLAIN", both, ca, good("PLAIN"), nil},
		{"a wrong password, PLAIN", sasl, TLS{}, SASL{"PLAIN", "sluice", "hunter2"}, []string{`refused the credentials of user "sluice" (PLAIN)`, "check sasl user and password"}},
		{"a wrong password, SCRAM", sasl, TLS{}, SASL{"SCRAM-SHA-256", "sluice", "hunter2"}, []string{`refused the credentials of user "sluice" (SCRAM-SHA-256)`}},
		{"an unknown user", both, ca, SASL{"SCRAM-SHA-512", "eve", "hunter2"}, []string{`refused the credentials of user "eve"`}},
		{"no credentials where they are wanted", sasl, TLS{}, SASL{}, []string{sasl, "does this port want neither TLS nor sasl"}},
		{"no TLS where it is wanted", encrypted, TLS{}, SASL{}, []string{encrypted, "does this port want neither TLS nor sasl"}},
		{"an authority the system does not know", encrypted, TLS{Enabled: true}, SASL{}, []string{encrypted, "its certificate is not trusted"}},
		{"a certificate of another host", encrypted, TLS{Enabled: true, CAFile: ca.CAFile, ServerName: "kafka.example"}, SASL{}, []string{"its certificate is not trusted", "kafka.example"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := Config{
				Brokers: []string{tc.addr}, Topic: newTopicName(t), CreateTopics: true, Partitions: 1, Replication: 1,
				TLS: tc.tls, SASL: tc.sasl, Timeout: 3 * time.Second, Compression: "lz4",
			}
			if len(tc.want) > 0 {
				check(t, probe(t, cfg), tc.want)
				return
			}
			s := open(t, cfg).Tenant("acme").(*Sink)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := s.Write(ctx, numbered(s, 0, 10)); err != nil {
				t.Errorf("Write: %v", err)
			}
			if err := s.Probe(ctx); err != nil {
				t.Errorf("Probe: %v", err)
			}
		})
	}
}

// TestTopicIsCreatedOnce lets several clusters and tenants find it missing at
// the same time.
func TestTopicIsCreatedOnce(t *testing.T) {
	broker := realKafka(t)
	topic := newTopicName(t) + ".{tenant}"
	cfg := Config{Brokers: []string{broker}, Topic: topic, CreateTopics: true, Partitions: 3, Replication: 1}
	clusters := []*Cluster{open(t, cfg), open(t, cfg)}
	var wg sync.WaitGroup
	for _, c := range clusters {
		for _, tenant := range []string{"a", "b"} {
			s := c.Tenant(tenant).(*Sink)
			for range 3 {
				wg.Go(func() {
					if err := s.Probe(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	wg.Wait()
	for _, tenant := range []string{"a", "b"} {
		name := strings.ReplaceAll(topic, "{tenant}", tenant)
		if n := clusters[0].topics[name].count.Load(); n != 3 {
			t.Errorf("%s has %d partitions, want the 3 configured", name, n)
		}
	}
}

// TestOldEventsAreKeptFromTheirReceipt: retention must not count from the time
// of the event, or late events are deleted as soon as they are stored.
func TestOldEventsAreKeptFromTheirReceipt(t *testing.T) {
	broker := realKafka(t)
	topic := newTopicName(t)
	makeTopic(t, broker, topic, 1, nil)
	s := open(t, Config{Brokers: []string{broker}, Topic: topic}).Tenant("acme").(*Sink)
	b := numbered(s, 0, 1)
	b.Events[0].TS = 1_356_998_400_000 // 2013
	if err := s.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	m := readBack(t, []string{broker}, topic)[0]
	if got, want := m.Timestamp.UnixMilli(), b.Events[0].Received/1000; got != want {
		t.Errorf("the record has the time %d, want that of its receipt, %d", got, want)
	}
	if e := eventOf(t, m); e.TS != b.Events[0].TS {
		t.Errorf("header ts is %d, want %d", e.TS, b.Events[0].TS)
	}
}

// TestMissingTopicIsRetryable: nobody creates it behind the operator's back, and
// once it is there the sink finds it by itself.
func TestMissingTopicIsRetryable(t *testing.T) {
	broker := realKafka(t)
	topic := newTopicName(t)
	s := open(t, Config{Brokers: []string{broker}, Topic: topic, Partitions: 2}).Tenant("acme").(*Sink)
	b := numbered(s, 0, 4)
	for range 2 {
		err := s.Write(t.Context(), b)
		if err == nil || sinks.IsPermanent(err) || !strings.Contains(err.Error(), "create it or set create_topics: true") {
			t.Fatalf("Write: %v, want a retryable error that says what to do", err)
		}
	}
	makeTopic(t, broker, topic, 2, nil)
	eventually(t, 20*time.Second, func() error { return s.Write(t.Context(), b) })
	if got := len(readBack(t, []string{broker}, topic)); got != 4 {
		t.Errorf("%d records, want 4", got)
	}
}

// makeTopic creates a topic as an operator would.
func makeTopic(t testing.TB, broker, topic string, partitions int32, config map[string]*string) {
	t.Helper()
	conf := sarama.NewConfig()
	conf.MetricRegistry = noMetrics{}
	admin, err := sarama.NewClusterAdmin([]string{broker}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: -1, ConfigEntries: config}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		t.Fatal(err)
	}
	// The controller says that it is made before the brokers have heard of it.
	eventually(t, 20*time.Second, func() error {
		found, err := admin.DescribeTopics([]string{topic})
		if err != nil {
			return err
		}
		for _, p := range found[0].Partitions {
			if p.Leader < 0 {
				return fmt.Errorf("partition %d has no leader", p.ID)
			}
		}
		if n := len(found[0].Partitions); n != int(partitions) {
			return fmt.Errorf("the broker knows %d partitions of %s: %w", n, topic, found[0].Err)
		}
		return nil
	})
}

// TestTopicsOwnLimits: what a topic's configuration refuses fails for good, and
// alone.
func TestTopicsOwnLimits(t *testing.T) {
	broker := realKafka(t)
	small, tight := "2000", "60000"
	for _, tc := range []struct {
		name   string
		config map[string]*string
		spoil  func(i int, b *sinks.Batch)
	}{
		{"too large a record", map[string]*string{"max.message.bytes": &small}, func(i int, b *sinks.Batch) {
			b.Events[i].Data = []byte(strings.Repeat("x", 3000))
		}},
		{"too old a record", map[string]*string{"message.timestamp.before.max.ms": &tight}, func(i int, b *sinks.Batch) {
			b.Events[i].Received = 1_000_000
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			topic := newTopicName(t)
			makeTopic(t, broker, topic, 1, tc.config)
			s := open(t, Config{Brokers: []string{broker}, Topic: topic}).Tenant("acme").(*Sink)
			b := numbered(s, 0, 60)
			now := time.Now().UnixMilli()
			for i := range b.Events {
				b.Events[i].TS, b.Events[i].Received = now, now*1000
			}
			for _, bad := range []int{0, 17, 18, 59} {
				tc.spoil(bad, b)
			}
			var err error
			eventually(t, 20*time.Second, func() error {
				if err = s.Write(t.Context(), b); err != nil && !strings.Contains(err.Error(), "4 events of the batch failed") {
					return err
				}
				return nil
			})
			var partial *sinks.PartialError
			if !errors.As(err, &partial) || len(partial.Failed) != 4 {
				t.Fatalf("Write: %v, want four failed", err)
			}
			for _, bad := range []int{0, 17, 18, 59} {
				if !sinks.IsPermanent(partial.Failed[bad]) {
					t.Errorf("event %d: %v, want it failed for good", bad, partial.Failed[bad])
				}
			}
			if got := len(readBack(t, []string{broker}, topic)); got != 56 {
				t.Errorf("%d records, want the other 56", got)
			}
		})
	}
}

// TestKcatReadsWhatWasWritten looks at records with a client that shares no code
// with this one: key, value, headers, timestamp, partition, and nothing twice.
func TestKcatReadsWhatWasWritten(t *testing.T) {
	broker := realKafka(t)
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatalf("kcat is needed to look at the topic (Debian: apt install kcat): %v", err)
	}
	topic := newTopicName(t)
	makeTopic(t, broker, topic, 5, nil)
	s := open(t, Config{Brokers: []string{broker}, Topic: topic, Compression: "zstd"}).Tenant("acme").(*Sink)
	eventually(t, 20*time.Second, func() error { return s.Probe(t.Context()) })
	want := map[string]int{}
	var where []string
	for _, user := range usersOn(5) {
		b := batchOf(s, one(user, 1), one(user, 2))
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		where = append(where, b.Where...)
		for i := range b.Events {
			e := &b.Events[i]
			want[fmt.Sprintf("%s|%s|id=%s,tenant=acme,type=t,ts=%d,received=%d|%d|%s/%d/%d",
				e.User, e.Data, e.ID, e.TS, e.Received, e.TS, topic, partitionOf(e.User, 5), i)]++
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, kcat, "-b", broker, "-C", "-t", topic, "-e", "-q", "-f", "%k|%s|%h|%T|%t/%p/%o\n").Output()
	if err != nil {
		t.Fatalf("kcat: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		want[strings.TrimSuffix(line, "\n")]--
	}
	for line, n := range want {
		if n != 0 {
			t.Errorf("%+d of %s", -n, line)
		}
	}
	for _, w := range where {
		if !strings.Contains(string(out), "|"+w+"\n") {
			t.Errorf("nothing is at %s, where an event was said to be", w)
		}
	}
}
