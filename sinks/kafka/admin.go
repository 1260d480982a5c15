package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/IBM/sarama"
)

// create makes the topic with the configured partitions and replication. That
// it exists by now is no error.
func (t *topic) create(ctx context.Context) error {
	cfg := t.c.cfg
	detail := map[string]*sarama.TopicDetail{t.name: {
		NumPartitions: int32(cfg.Partitions), ReplicationFactor: int16(cfg.Replication),
	}}
	var refused error
	err := t.c.ask(ctx, func(b *sarama.Broker) error {
		answer, err := b.CreateTopics(sarama.NewCreateTopicsRequest(t.c.conf.Version, detail, cfg.Timeout, false))
		if err != nil {
			return err
		}
		said := answer.TopicErrors[t.name]
		switch {
		case said == nil:
			return errors.New("it did not say whether it created the topic")
		case said.Err == sarama.ErrNotController:
			return said // the next broker may be the one
		case said.Err != sarama.ErrNoError && said.Err != sarama.ErrTopicAlreadyExists:
			refused = said
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("kafka: topic %q could not be created with partitions: %d, replication: %s: %w",
			t.name, cfg.Partitions, replicationText(cfg.Replication), err)
	}
	t.c.log.Info("kafka topic created", "topic", t.name,
		"partitions", cfg.Partitions, "replication", replicationText(cfg.Replication))
	return nil
}

func replicationText(n int) string {
	if n < 0 {
		return "the broker's default"
	}
	return strconv.Itoa(n)
}

// probe asks whether a Write would find the topic in order. Metadata alone does
// not tell: brokers that have lost their controllers go on describing the past.
// So whoever leads a partition or is in sync with its leader is called on.
func (t *topic) probe(ctx context.Context) error {
	l, err := t.refresh(ctx)
	if err != nil {
		return err
	}
	if p := l.leaderless(); p >= 0 {
		return fmt.Errorf("kafka: partition %d of topic %q has no leader: %d of its %d replicas are in sync; see whether brokers are down",
			p, t.name, len(l.parts[p].inSync), l.parts[p].replicas)
	}
	if used := int(t.count.Load()); len(l.parts) < used {
		return fmt.Errorf("kafka: topic %q has %d partitions and had %d: it was made anew; restart to use it", t.name, len(l.parts), used)
	}
	down := t.c.visit(ctx, l)
	need := max(t.minInSync(ctx), 1)
	for p, at := range l.parts {
		if err := down[at.addr]; err != nil {
			return fmt.Errorf("kafka: partition %d of topic %q cannot be written: its leader: %w", p, t.name, err)
		}
		inSync := 0
		for _, addr := range at.inSync {
			if addr != "" && down[addr] == nil {
				inSync++
			}
		}
		if inSync < need {
			return fmt.Errorf("kafka: partition %d of topic %q has %d reachable replicas in sync of %d, and min.insync.replicas is %d: writes would be refused until more brokers are back",
				p, t.name, inSync, at.replicas, need)
		}
	}
	return nil
}

// visit connects to every broker that l names, at the same time, and returns
// why some could not be reached.
func (c *Cluster) visit(ctx context.Context, l *layout) map[string]error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]bool{"": true}
		down = map[string]error{}
	)
	call := func(addr string) {
		if seen[addr] {
			return
		}
		seen[addr] = true
		wg.Go(func() {
			conn, err := c.connect(ctx, addr)
			if err != nil {
				mu.Lock()
				down[addr] = err
				mu.Unlock()
				return
			}
			conn.close()
		})
	}
	for i := range l.parts {
		call(l.parts[i].addr)
		for _, addr := range l.parts[i].inSync {
			call(addr)
		}
	}
	wg.Wait()
	return down
}

// settingInSync is the topic's setting that says how many replicas must confirm.
const settingInSync = "min.insync.replicas"

// minInSync returns the topic's min.insync.replicas, 0 where we may not know.
// The topic's settings are asked for once.
func (t *topic) minInSync(ctx context.Context) int {
	t.mu.Lock()
	n := t.inSync
	t.mu.Unlock()
	if n != 0 {
		return max(n, 0)
	}
	value, err := t.setting(ctx, settingInSync)
	if err != nil {
		return 0 // the metadata was there a moment ago: ask again next time
	}
	n, err = strconv.Atoi(value)
	if err != nil {
		n = -1 // refused: most often for want of DESCRIBE_CONFIGS, which nobody has to grant us
	}
	t.mu.Lock()
	t.inSync = n
	t.mu.Unlock()
	return max(n, 0)
}

// setting asks for one of the topic's settings, empty where we may not read it.
func (t *topic) setting(ctx context.Context, name string) (value string, err error) {
	request := &sarama.DescribeConfigsRequest{Version: 2, Resources: []*sarama.ConfigResource{{
		Type: sarama.TopicResource, Name: t.name, ConfigNames: []string{name},
	}}}
	err = t.c.ask(ctx, func(b *sarama.Broker) error {
		answer, err := b.DescribeConfigs(request)
		if err != nil {
			return err
		}
		for _, r := range answer.Resources {
			for _, c := range r.Configs {
				if c.Name == name {
					value = c.Value
				}
			}
		}
		return nil
	})
	return value, err
}
