package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"sluice/config"
	"sluice/metrics"
	"sluice/sinks"
	"sluice/sinks/cassandra"
	"sluice/sinks/kafka"
	"sluice/sinks/local"
)

// store is an opened sink of the configuration, shared by its tenants.
type store struct {
	tenant func(name string, ttl time.Duration) sinks.Sink
	close  func(context.Context) error
}

// stores is every sink of the configuration, by name.
type stores map[string]store

// openStores opens what the configuration names and a tenant uses. Only wrong
// settings, and a local directory that cannot be had, are errors: a Kafka or
// Cassandra that is away is found when it is back.
func openStores(cfg *config.Config, m *metrics.Metrics, log *slog.Logger) (stores, error) {
	used := make(map[string]bool)
	for _, t := range cfg.Tenants {
		for _, name := range t.Sink {
			used[name] = true
		}
	}
	all := make(stores)
	for _, name := range slices.Sorted(maps.Keys(used)) {
		s, err := openStore(cfg, name, m, log.With("sink", name))
		if err != nil {
			all.close(context.Background(), log)
			return nil, fmt.Errorf("sink %q: %w", name, err)
		}
		all[name] = s
	}
	return all, nil
}

func (all stores) close(ctx context.Context, log *slog.Logger) {
	for name, s := range all {
		if err := s.close(ctx); err != nil {
			log.Error("sink did not close cleanly", "sink", name, "error", err)
		}
	}
}

func openStore(cfg *config.Config, name string, m *metrics.Metrics, log *slog.Logger) (store, error) {
	s := cfg.Sinks[name]
	switch {
	case s.Local != nil:
		minFree := int64(s.Local.MinFree)
		if minFree == 0 {
			minFree = -1 // none, where 0 would be the store's own default
		}
		db, err := local.Open(local.Config{
			Dir:     filepath.Join(cfg.Dir, "store", name),
			Bucket:  time.Duration(s.Local.Bucket),
			MinFree: minFree,
		}, log)
		if err != nil {
			return store{}, err
		}
		return store{func(t string, ttl time.Duration) sinks.Sink { return db.Tenant(t, ttl) }, db.Close}, nil
	case s.Kafka != nil:
		c, err := kafka.Open(kafkaConfig(s), log)
		if err != nil {
			return store{}, err
		}
		return store{func(t string, _ time.Duration) sinks.Sink { return c.Tenant(t) }, c.Close}, nil
	case s.Cassandra != nil:
		c, err := cassandra.Open(cassandraConfig(s), log)
		if err != nil {
			return store{}, err
		}
		c.Observe(func(o cassandra.Observation) {
			m.Cassandra(name, string(o.Op), string(o.Class), o.Took.Seconds())
		})
		return store{func(t string, ttl time.Duration) sinks.Sink { return c.Tenant(t, ttl) }, c.Close}, nil
	}
	return store{}, fmt.Errorf("kind %q is not known", s.Kind)
}

// batchOverhead is what a Kafka record batch needs beside its one largest
// record: the header and the lengths.
const batchOverhead = 1024

func kafkaConfig(s config.Sink) kafka.Config {
	k := s.Kafka
	return kafka.Config{
		Brokers: k.Brokers, Topic: k.Topic, Compression: k.Compression,
		CreateTopics: k.CreateTopics, Partitions: k.Partitions, Replication: k.Replication,
		Timeout: time.Duration(s.Timeout), MaxRecordBytes: int(k.MaxRecord) - batchOverhead, ClientID: k.ClientID,
		TLS: kafka.TLS{Enabled: k.TLS.Enabled, CAFile: k.TLS.CAFile, CertFile: k.TLS.CertFile, KeyFile: k.TLS.KeyFile,
			ServerName: k.TLS.ServerName, InsecureSkipVerify: k.TLS.InsecureSkipVerify},
		SASL: kafka.SASL{Mechanism: k.SASL.Mechanism, User: k.SASL.User, Password: k.SASL.Password.Reveal()},
	}
}

func cassandraConfig(s config.Sink) cassandra.Config {
	c := s.Cassandra
	return cassandra.Config{
		Hosts: c.Hosts, Port: c.Port, Keyspace: c.Keyspace, Table: c.Table, Consistency: c.Consistency, LocalDC: c.LocalDC,
		PartitionBy: c.PartitionBy, Bucket: time.Duration(c.Bucket), Shards: c.Shards, TTL: time.Duration(c.TTL),
		CreateSchema: c.CreateSchema,
		Replication:  cassandra.Replication{Class: c.Replication.Class, Factor: c.Replication.Factor, Datacenters: c.Replication.Datacenters},
		Timeout:      time.Duration(s.Timeout),
		Auth:         cassandra.Auth{User: c.Auth.User, Password: c.Auth.Password.Reveal()},
		TLS: cassandra.TLS{Enabled: c.TLS.Enabled, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName, InsecureSkipVerify: c.TLS.InsecureSkipVerify},
	}
}
