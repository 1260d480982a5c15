package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// stall is how long a partition may give nothing although there is more.
const stall = 30 * time.Second

func kafkaClient(o Options) (sarama.Client, error) {
	cfg := sarama.NewConfig()
	cfg.ClientID = "sluice-bench-verify"
	cfg.Metadata.AllowAutoTopicCreation = false
	cfg.Consumer.Return.Errors = true
	cfg.Consumer.Fetch.Default = 4 << 20
	cfg.ChannelBufferSize = 4096
	tls, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	cfg.Net.TLS.Enable, cfg.Net.TLS.Config = tls != nil, tls
	if o.User != "" {
		cfg.Net.SASL.Enable, cfg.Net.SASL.User, cfg.Net.SASL.Password = true, o.User, o.Password
	}
	client, err := sarama.NewClient(o.Hosts, cfg)
	if err != nil {
		return nil, fmt.Errorf("verify: Kafka at %s: %w", strings.Join(o.Hosts, ","), err)
	}
	return client, nil
}

// part is the records of one partition that are to be read: from, included, to to,
// which is not.
type part struct {
	topic     string
	partition int32
	from, to  int64
}

// ends returns all partitions of the topics and where they end now. absent says
// what to do about a topic that is not there.
func ends(ctx context.Context, client sarama.Client, o Options, absent func(topic string) error) ([]part, error) {
	topics, err := o.topics()
	if err != nil {
		return nil, err
	}
	var all []part
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			if err := absent(topic); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("verify: topic %s: %w", topic, err)
		}
		for _, p := range partitions {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
			if err != nil {
				return nil, fmt.Errorf("verify: the end of %s/%d: %w", topic, p, err)
			}
			all = append(all, part{topic: topic, partition: p, to: end})
		}
	}
	return all, nil
}

func markKafka(ctx context.Context, o Options) (Offsets, error) {
	client, err := kafkaClient(o)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	parts, err := ends(ctx, client, o, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	start := Offsets{}
	for _, p := range parts {
		if start[p.topic] == nil {
			start[p.topic] = map[int32]int64{}
		}
		start[p.topic][p.partition] = p.to
	}
	return start, nil
}

// readKafka reads one partition after the other: were a user's events in two, which
// is a fault, reading both at once would call them in or out of order by chance.
func readKafka(ctx context.Context, o Options, j *judge) error {
	client, err := kafkaClient(o)
	if err != nil {
		return err
	}
	defer client.Close()
	parts, err := ends(ctx, client, o, func(topic string) error { return fmt.Errorf("verify: there is no topic %s", topic) })
	if err != nil {
		return err
	}
	var all uint64
	for i := range parts {
		if err := begin(client, &parts[i], o.Start); err != nil {
			return err
		}
		all += uint64(parts[i].to - parts[i].from)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer consumer.Close()
	done := uint64(0)
	for _, p := range parts {
		err := p.read(ctx, consumer, func(r *sarama.ConsumerMessage) {
			for _, h := range r.Headers {
				if bytes.Equal(h.Key, []byte("id")) {
					j.see(string(h.Value))
					break
				}
			}
			if done++; done%10_000 == 0 {
				o.progress(Progress{done, all, "records"})
			}
		})
		if err != nil {
			return err
		}
	}
	o.progress(Progress{all, all, "records"})
	return nil
}

// begin sets where to read p from.
func begin(client sarama.Client, p *part, start Offsets) error {
	oldest, err := client.GetOffset(p.topic, p.partition, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("verify: the beginning of %s/%d: %w", p.topic, p.partition, err)
	}
	from, marked := start[p.topic][p.partition]
	switch {
	case !marked:
		p.from = oldest
	case from < oldest:
		return fmt.Errorf("verify: %s/%d begins at offset %d by now and the run at %d: the topic has dropped records of the run (retention), which cannot be told from lost ones", p.topic, p.partition, oldest, from)
	default:
		p.from = from
	}
	if p.from > p.to {
		return fmt.Errorf("verify: %s/%d ends at offset %d, and ended at %d before the run: the topic was made anew", p.topic, p.partition, p.to, p.from)
	}
	return nil
}

func (p part) read(ctx context.Context, consumer sarama.Consumer, take func(*sarama.ConsumerMessage)) error {
	if p.from == p.to {
		return nil
	}
	records, err := consumer.ConsumePartition(p.topic, p.partition, p.from)
	if err != nil {
		return fmt.Errorf("verify: reading %s/%d from offset %d: %w", p.topic, p.partition, p.from, err)
	}
	defer records.Close()
	idle := time.NewTimer(stall)
	defer idle.Stop()
	at := p.from
	var last error
	for {
		select {
		case r, ok := <-records.Messages():
			if !ok {
				return errors.Join(fmt.Errorf("verify: reading %s/%d ended at offset %d of %d", p.topic, p.partition, at, p.to), last)
			}
			if r.Offset < p.to {
				take(r)
			}
			if at = r.Offset + 1; at >= p.to {
				return nil
			}
			idle.Reset(stall)
		case err := <-records.Errors(): // sarama tries again
			if err != nil {
				last = err
			}
		case <-idle.C:
			return errors.Join(fmt.Errorf("verify: %s/%d gave no record from offset %d on for %v, and ends at %d", p.topic, p.partition, at, stall, p.to), last)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
