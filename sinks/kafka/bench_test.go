package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"sluice/event"
)

const benchLanes = 6

// benchEvents returns n events of 500 bytes of one user.
func benchEvents(user string, n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = one(user, i)
		data := fmt.Appendf(nil, `{"id":"id-%d","user":%q,"type":"t","ts":%d,"pad":"`, i, user, begun)
		for len(data) < 498 {
			data = fmt.Appendf(data, "%x", (i*2654435761+len(data)*40503)&0xffff)
		}
		events[i].Data = append(data[:498], '"', '}')
	}
	return events
}

// BenchmarkWrite writes batches to a real broker, one lane beside the other,
// each waiting for its answer: by this package, and by sarama's AsyncProducer
// given the same batches.
func BenchmarkWrite(b *testing.B) {
	broker := realKafka(b)
	for _, size := range []int{1, 100, 500} {
		for _, compression := range []string{"none", "zstd"} {
			name := fmt.Sprintf("events=%d/%s", size, compression)
			b.Run(name+"/direct", func(b *testing.B) { benchDirect(b, broker, size, compression) })
			b.Run(name+"/async", func(b *testing.B) { benchAsync(b, broker, size, compression) })
		}
	}
}

func benchDirect(b *testing.B, broker string, size int, compression string) {
	s := open(b, Config{
		Brokers: []string{broker}, Topic: newTopicName(b), CreateTopics: true, Partitions: benchLanes, Compression: compression,
	}).Tenant("acme").(*Sink)
	if err := s.Probe(b.Context()); err != nil {
		b.Fatal(err)
	}
	inLanes(b, size, func(events []event.Event) error {
		batch := batchOf(s, events...)
		batch.Where = nil
		return s.Write(context.Background(), batch)
	})
}

func benchAsync(b *testing.B, broker string, size int, compression string) {
	topic := newTopicName(b)
	makeTopic(b, broker, topic, benchLanes, nil)
	conf := sarama.NewConfig()
	conf.MetricRegistry = noMetrics{}
	conf.Net.MaxOpenRequests = 1
	conf.Producer.Idempotent = true
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Partitioner = sarama.NewMurmur2Partitioner
	conf.Producer.Compression = codecs[compression]
	conf.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer([]string{broker}, conf)
	if err != nil {
		b.Fatal(err)
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		for m := range producer.Successes() {
			m.Metadata.(*sync.WaitGroup).Done()
		}
	})
	drained.Go(func() {
		for e := range producer.Errors() {
			b.Error(e)
			e.Msg.Metadata.(*sync.WaitGroup).Done()
		}
	})
	defer func() {
		producer.AsyncClose()
		drained.Wait()
	}()
	inLanes(b, size, func(events []event.Event) error {
		var open sync.WaitGroup
		open.Add(len(events))
		for i := range events {
			e := &events[i]
			producer.Input() <- &sarama.ProducerMessage{
				Topic: topic, Key: sarama.ByteEncoder(bytesOf(e.User)), Value: sarama.ByteEncoder(e.Data),
				Timestamp: e.Time(), Metadata: &open,
				Headers: []sarama.RecordHeader{
					{Key: headerID, Value: bytesOf(e.ID)}, {Key: headerTenant, Value: bytesOf(e.Tenant)},
					{Key: headerType, Value: bytesOf(e.Type)},
					{Key: headerTS, Value: fmt.Append(nil, e.TS)}, {Key: headerReceived, Value: fmt.Append(nil, e.Received)},
				},
			}
		}
		open.Wait()
		return nil
	})
}

// inLanes calls write b.N times, spread over the lanes, with a batch of the
// lane's user.
func inLanes(b *testing.B, size int, write func([]event.Event) error) {
	users := usersOn(benchLanes)
	took := make([][]time.Duration, benchLanes)
	for _, u := range users { // connections, producer ids
		if err := write(benchEvents(u, 1)); err != nil {
			b.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for lane := range benchLanes {
		events := benchEvents(users[lane], size)
		wg.Go(func() {
			for range (b.N + benchLanes - 1 - lane) / benchLanes {
				from := time.Now()
				if err := write(events); err != nil {
					b.Error(err)
					return
				}
				took[lane] = append(took[lane], time.Since(from))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) > 0 {
		b.ReportMetric(float64(all[len(all)*99/100]), "p99-ns")
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}
