package main

import (
	"sync"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// producer stores events in a Kafka topic.
type producer struct {
	topic string
	async sarama.AsyncProducer
	ended sync.WaitGroup // the two that read outcomes
}

func newProducer(brokers []string, topic string, compression sarama.CompressionCodec) (*producer, error) {
	// sarama counts in registries that nobody reads here; it asks for them when a
	// configuration is made.
	metrics.UseNilMetrics = true
	c := sarama.NewConfig()
	c.ClientID = "bare"
	c.Version = sarama.V3_6_0_0
	c.Net.MaxOpenRequests = 1
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Producer.Retry.Max = 10
	c.Producer.Compression = compression
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	// No linger: whatever came while a request was under way leaves with the next.
	async, err := sarama.NewAsyncProducer(brokers, c)
	if err != nil {
		return nil, err
	}
	p := &producer{topic: topic, async: async}
	p.ended.Go(func() {
		for m := range async.Successes() {
			m.Metadata.(*request).done(nil)
		}
	})
	p.ended.Go(func() {
		for e := range async.Errors() {
			e.Msg.Metadata.(*request).done(e.Err)
		}
	})
	return p, nil
}

func (p *producer) store(r *request, n int) error {
	r.waiting.Add(n)
	input := p.async.Input()
	for i := range r.messages[:n] {
		m := &r.messages[i]
		m.ProducerMessage = sarama.ProducerMessage{Topic: p.topic, Key: &m.key, Value: &m.value, Metadata: r}
		input <- &m.ProducerMessage
	}
	return r.wait()
}

func (p *producer) close() error {
	p.async.AsyncClose()
	p.ended.Wait()
	return nil
}
