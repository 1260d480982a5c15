package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// topic is a topic of a test's own, on a real broker.
type topic struct {
	t        *testing.T
	o        Options
	producer sarama.SyncProducer
	admin    sarama.ClusterAdmin
}

func newTopic(t *testing.T, partitions int32) *topic {
	t.Helper()
	broker := server(t, "Kafka", "SLUICE_TEST_KAFKA", "127.0.0.1:19092", "")
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Compression = sarama.CompressionZSTD
	admin, err := sarama.NewClusterAdmin([]string{broker}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := unique()
	if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewSyncProducer([]string{broker}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		producer.Close()
		if err := admin.DeleteTopic(name); err != nil {
			t.Errorf("deleting the topic: %v", err)
		}
		admin.Close()
	})
	return &topic{t, Options{Sink: Kafka, Hosts: []string{broker}, Topic: name}, producer, admin}
}

// put writes records with these ids, in this order.
func (k *topic) put(partition int32, ids ...string) {
	k.t.Helper()
	var records []*sarama.ProducerMessage
	for _, id := range ids {
		records = append(records, &sarama.ProducerMessage{Topic: k.o.Topic, Partition: partition, Value: sarama.StringEncoder("{}"),
			Headers: []sarama.RecordHeader{{Key: []byte("tenant"), Value: []byte("acme")}, {Key: []byte("id"), Value: []byte(id)}}})
	}
	if err := k.producer.SendMessages(records); err != nil {
		k.t.Fatal(err)
	}
}

// TestKafka plants every fault and reads it back from a real broker.
func TestKafka(t *testing.T) {
	k := newTopic(t, 3)
	k.put(0, "5eed-0-0", "5eed-0-1") // before the run: not read
	var err error
	if k.o.Start, err = Mark(t.Context(), k.o); err != nil {
		t.Fatal(err)
	}
	l := script("5eed", "aaaaa", "aaaa", "ru")
	k.put(0, "5eed-0-0", "5eed-0-2", "5eed-0-1", "feed-0-3") // 1 behind 2; 3 is lost
	k.put(0, "5eed-0-4")
	k.put(2, "5eed-1-0", "5eed-1-1", "5eed-1-1", "5eed-1-2", "5eed-1-3") // 1 twice
	k.put(1, "5eed-2-0", "5eed-2-1", "5eed-9-9")
	var told Progress
	k.o.Progress = func(p Progress) { told = p }
	v, err := Run(t.Context(), k.o, l)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, "found 10 lost 1 doubled 1 disordered 1 unasked 3",
		"5eed-0-3 of u2 is lost: its outcome was accepted",
		"5eed-1-1 of u2 is in the sink more than once",
		"5eed-0-1 of u2 is behind a later one of its user",
		"5eed-2-0 of u2 is in the sink, and its outcome was: refused",
		"5eed-2-1 of u2 is in the sink, and its outcome was: unknown",
		`"5eed-9-9" is in the sink, and was never sent`)
	if want := (Progress{13, 13, "records"}); told != want {
		t.Errorf("the last word on progress is %+v, want %+v", told, want)
	}
	if v.OK() {
		t.Error("that is well")
	}
}

func TestKafkaWithoutFaults(t *testing.T) {
	k := newTopic(t, 2)
	l := script("5eed", strings.Repeat("aA", 2500), "da")
	var first, second []string
	for n := range 5000 {
		if n%2 == 0 {
			first = append(first, l.ID(0, n))
		} else {
			second = append(second, l.ID(0, n))
		}
	}
	k.put(0, first...)
	k.put(1, append(second, "5eed-1-0", "5eed-1-1")...)
	v, err := Run(t.Context(), k.o, l)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, "found 5002 lost 0 doubled 0 disordered 0 unasked 0")
}

func TestKafkaErrors(t *testing.T) {
	k := newTopic(t, 1)
	k.put(0, "5eed-0-0", "5eed-0-1")
	l := script("5eed", "aa")

	absent := k.o
	absent.Topic = unique()
	if start, err := Mark(t.Context(), absent); err != nil || len(start) != 0 {
		t.Errorf("marking a topic that is yet to be made: %v, %v", start, err)
	}
	if _, err := Run(t.Context(), absent, l); err == nil || !strings.Contains(err.Error(), "there is no topic "+absent.Topic) {
		t.Errorf("a topic that is not there: %v", err)
	}
	nobody := k.o
	nobody.Hosts = []string{"127.0.0.1:1"}
	if _, err := Mark(t.Context(), nobody); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody at the address: %v", err)
	}
	anew := k.o
	anew.Start = Offsets{k.o.Topic: {0: 7}}
	if _, err := Run(t.Context(), anew, l); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("a topic shorter than before: %v", err)
	}

	start, err := Mark(t.Context(), k.o)
	if err != nil {
		t.Fatal(err)
	}
	k.put(0, "5eed-0-0", "5eed-0-1")
	if err := k.admin.DeleteRecords(k.o.Topic, map[int32]int64{0: 3}); err != nil {
		t.Fatal(err)
	}
	k.o.Start = start
	if _, err := Run(t.Context(), k.o, l); err == nil || !strings.Contains(err.Error(), "retention") {
		t.Errorf("records of the run that the topic has dropped: %v", err)
	}
}

// TestKafkaOverTLS also logs in.
func TestKafkaOverTLS(t *testing.T) {
	k := newTopic(t, 1)
	k.put(0, "5eed-0-0")
	secure := server(t, "Kafka with TLS", "SLUICE_KAFKA1_SASL_TLS", "127.0.0.1:19095", "")
	o, err := Parse("kafka://sluice:sluice-secret@" + secure + "/" + k.o.Topic + "?tls=true&ca=" + authority(t, "SLUICE_KAFKA1_CA"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	v, err := Run(t.Context(), o, script("5eed", "a"))
	if err != nil {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	expect(t, v, "found 1 lost 0 doubled 0 disordered 0 unasked 0")
}
