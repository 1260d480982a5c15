package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"sluice/event"
	"sluice/sinks"
	"sluice/sinks/sinktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Of the consumer that reads back: sarama measures part of a fetch with
		// the global registry of go-metrics, whose goroutine never ends.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// realKafka returns the address of a real broker, and fails the test where none
// answers: a sink that was only ever tried on fakes is not tested.
func realKafka(t testing.TB) string {
	t.Helper()
	return needKafka(t, "SLUICE_TEST_KAFKA", "127.0.0.1:19092")
}

func needKafka(t testing.TB, variable, standard string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real Kafka")
	}
	addr := os.Getenv(variable)
	if addr == "" {
		addr = standard
	}
	conn, err := net.DialTimeout("tcp", strings.Split(addr, ",")[0], 5*time.Second)
	if err != nil {
		t.Fatalf("no Kafka at %s: start it with `make stack-up`, name another in %s, or run with -short: %v", addr, variable, err)
	}
	conn.Close()
	return addr
}

var topics atomic.Int64

// newTopicName returns a name no other test uses.
func newTopicName(t testing.TB) string {
	return fmt.Sprintf("sluice-test-%d-%d-%d", os.Getpid(), time.Now().UnixMilli(), topics.Add(1))
}

// open returns a cluster that is closed with the test.
func open(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	c, err := Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// readBack returns every record of the topic, partition by partition, by a
// consumer. A topic that does not exist has none.
func readBack(t testing.TB, brokers []string, topic string) []*sarama.ConsumerMessage {
	t.Helper()
	conf := sarama.NewConfig()
	conf.MetricRegistry = noMetrics{}
	conf.Metadata.AllowAutoTopicCreation = false
	client, err := sarama.NewClient(brokers, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	var all []*sarama.ConsumerMessage
	for _, p := range partitions {
		var end int64
		eventually(t, 30*time.Second, func() (err error) {
			end, err = client.GetOffset(topic, p, sarama.OffsetNewest)
			return err
		})
		if end == 0 {
			continue
		}
		messages, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		for last := int64(-1); last < end-1; {
			select {
			case m := <-messages.Messages():
				all = append(all, m)
				last = m.Offset
			case <-time.After(20 * time.Second):
				t.Fatalf("%s/%d: no record after offset %d, want %d", topic, p, last, end-1)
			}
		}
		if err := messages.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// eventually calls f until it returns nil.
func eventually(t testing.TB, within time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks, not for one to succeed
	}
}

// eventOf returns the event that a record is of.
func eventOf(t testing.TB, m *sarama.ConsumerMessage) event.Event {
	t.Helper()
	e := event.Event{User: string(m.Key), Data: m.Value}
	for _, h := range m.Headers {
		v := string(h.Value)
		number := func() int64 {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				t.Errorf("header %s of %s/%d/%d: %v", h.Key, m.Topic, m.Partition, m.Offset, err)
			}
			return n
		}
		switch string(h.Key) {
		case "id":
			e.ID = v
		case "tenant":
			e.Tenant = v
		case "type":
			e.Type = v
		case "ts":
			e.TS = number()
		case "received":
			e.Received = number()
		default:
			t.Errorf("unknown header %q", h.Key)
		}
	}
	return e
}

func TestContract(t *testing.T) {
	broker := realKafka(t)
	compressions := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	var places int
	sinktest.Run(t, sinktest.Harness{
		Order:    sinktest.ByWrite,
		Oversize: 1 << 20,
		Open: func(t *testing.T) sinktest.Place {
			proxy := sinktest.NewProxy(t, broker)
			places++
			topic := newTopicName(t)
			c := open(t, Config{
				Brokers: []string{broker}, Topic: topic, CreateTopics: true, Partitions: 4, Replication: 1,
				Compression: compressions[places%len(compressions)],
				Timeout:     2 * time.Second, dial: proxy.DialContext,
			})
			return sinktest.Place{
				Sink: func(_ *testing.T, tenant string) sinks.Sink { return c.Tenant(tenant) },
				ReadBack: func(t *testing.T, tenant string) []event.Event {
					var mine []event.Event
					for _, m := range readBack(t, []string{broker}, topic) {
						if e := eventOf(t, m); e.Tenant == tenant {
							mine = append(mine, e)
						}
					}
					return mine
				},
				Faults: proxy.Faults(),
			}
		},
	})
}
