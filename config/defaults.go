package config

import (
	"time"

	"sluice/event"
)

// Default returns the configuration of a gateway that was given none: the
// embedded store and one tenant, demo. The caller gives it a key.
func Default() *Config {
	c := builtin()
	demo := c.Defaults
	demo.Sink = Names{"local"}
	c.Sinks = map[string]Sink{"local": localSink()}
	c.Tenants = map[string]Tenant{"demo": demo}
	return c
}

// builtin returns what holds where a file is silent.
func builtin() *Config {
	return &Config{
		Data: Data{
			Listen:         ":8080",
			MaxBody:        8 << 20,
			MaxEvent:       256 << 10,
			MaxEvents:      10000,
			MaxDepth:       64,
			MaxClockSkew:   Duration(10 * time.Minute),
			RequestTimeout: Duration(5 * time.Second),
			ReadTimeout:    Duration(30 * time.Second),
			IdleTimeout:    Duration(2 * time.Minute),
		},
		Admin:        Admin{Listen: "127.0.0.1:8081"},
		Dir:          "./data",
		DrainTimeout: Duration(30 * time.Second),
		Defaults:     builtinTenant(),
	}
}

func builtinTenant() Tenant {
	f := event.DefaultFields()
	return Tenant{
		Ack:    AckPolicy{Default: event.AckStored, Weakest: event.AckReceived},
		Fields: Fields(f),
		Pools:  Pools{Parsers: 2, Validators: 2, Batchers: 4, Writers: 8},
		Budget: Budget{Bytes: 64 << 20, Events: 65536, PerUser: 256},
		Batch:  Batch{MaxEvents: 500, MaxBytes: 512 << 10, Linger: Linger{Auto: true}},
		Users: Users{
			Idle:   Duration(5 * time.Minute),
			Dedupe: Dedupe{Window: Duration(24 * time.Hour), MaxIDs: 4096},
			Memory: 128 << 20,
		},
		Supervision: Supervision{
			MaxAttempts: 3,
			MaxRestarts: 100,
			Within:      Duration(time.Minute),
			Backoff:     Backoff{Min: Duration(10 * time.Millisecond), Max: Duration(5 * time.Second)},
		},
	}
}

// builtinSink returns the defaults of a kind, false if there is no such kind.
func builtinSink(kind string) (Sink, bool) {
	switch kind {
	case KindLocal:
		return localSink(), true
	case KindKafka:
		return kafkaSink(), true
	case KindCassandra:
		return cassandraSink(), true
	}
	return Sink{}, false
}

func commonSink(kind string) Sink {
	return Sink{
		Kind:    kind,
		Timeout: Duration(5 * time.Second),
		Retry: Retry{
			Min:    Duration(50 * time.Millisecond),
			Max:    Duration(5 * time.Second),
			GiveUp: Duration(30 * time.Second),
		},
		Circuit: Circuit{
			Failures: 5,
			ProbeMin: Duration(200 * time.Millisecond),
			ProbeMax: Duration(5 * time.Second),
		},
	}
}

func localSink() Sink {
	s := commonSink(KindLocal)
	s.Local = &Local{Bucket: Duration(day), MinFree: 256 << 20}
	return s
}

func kafkaSink() Sink {
	s := commonSink(KindKafka)
	s.Kafka = &Kafka{
		Brokers:     []string{"127.0.0.1:9092"},
		Topic:       "raw_events",
		Compression: "zstd",
		Partitions:  6,
		Replication: 3,
		ClientID:    "sluice",
		MaxRecord:   1 << 20,
	}
	return s
}

func cassandraSink() Sink {
	s := commonSink(KindCassandra)
	s.Cassandra = &Cassandra{
		Hosts:       []string{"127.0.0.1"},
		Port:        9042,
		Keyspace:    "sluice",
		Table:       "events",
		Consistency: "QUORUM",
		PartitionBy: "shard",
		Bucket:      Duration(time.Hour),
		Shards:      16,
		Replication: Replication{Class: "SimpleStrategy", Factor: 3},
	}
	return s
}
