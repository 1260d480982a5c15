package cassandra

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		says string
	}{
		{"no hosts", Config{}, "hosts: name at least one node"},
		{"a host that is a URL", Config{Hosts: []string{"http://db:9042/"}}, "hosts: "},
		{"a host with a port that is none", Config{Hosts: []string{"db:99999"}}, `"99999" is not a port`},
		{"a port that is none", Config{Port: 70000}, "port: 70000"},
		{"ANY", Config{Consistency: "ANY"}, "consistency: ANY is confirmed by too few"},
		{"ONE", Config{Consistency: "one"}, "consistency: ONE is confirmed by too few"},
		{"TWO", Config{Consistency: "TWO"}, "consistency: TWO"},
		{"THREE", Config{Consistency: "THREE"}, "consistency: THREE"},
		{"LOCAL_ONE", Config{Consistency: "LOCAL_ONE"}, "consistency: LOCAL_ONE"},
		{"SERIAL", Config{Consistency: "SERIAL"}, "consistency: SERIAL is for lightweight"},
		{"LOCAL_SERIAL", Config{Consistency: "local_serial"}, "consistency: LOCAL_SERIAL is for lightweight"},
		{"a consistency that is none", Config{Consistency: "MOST"}, `"MOST" is not a consistency level: want QUORUM`},
		{"LOCAL_QUORUM of nowhere", Config{Consistency: "LOCAL_QUORUM"}, "local_dc: consistency LOCAL_QUORUM needs"},
		{"a keyspace that would be CQL", Config{Keyspace: `x"; DROP KEYSPACE y; --`}, "keyspace: "},
		{"a keyspace that begins with a digit", Config{Keyspace: "1x"}, "keyspace: "},
		{"a keyspace that is too long", Config{Keyspace: strings.Repeat("k", 49)}, "at most 48"},
		{"a table with a dot", Config{Table: "a.b"}, "table: "},
		{"a table that is too long for those beside it", Config{Table: strings.Repeat("t", 41)}, "at most 40"},
		{"a table that ends in a newline", Config{Table: "events\n"}, "table: "},
		{"a layout that is none", Config{PartitionBy: "tenant"}, `partition_by: "tenant" is neither`},
		{"a bucket of seconds", Config{Bucket: 90 * time.Second}, "bucket: 1m30s"},
		{"a negative bucket", Config{Bucket: -time.Hour}, "bucket: -1h"},
		{"negative shards", Config{Shards: -1}, "shards: -1"},
		{"a ttl above the server's limit", Config{TTL: 30 * 365 * 24 * time.Hour}, "ttl: "},
		{"a negative timeout", Config{Timeout: -1}, "timeout: "},
		{"a password without a user", Config{Auth: Auth{Password: "secret-word"}}, "auth: a password without a user"},
		{"a replication class that is none", Config{Replication: Replication{Class: "EverywhereStrategy"}}, "replication: class"},
		{"no data centre", Config{Replication: Replication{Class: networkStrategy}}, "a factor for each data centre"},
		{"a data centre with factor 0", Config{Replication: Replication{Class: networkStrategy, Datacenters: map[string]int{"dc1": 0}}}, `"dc1": factor 0`},
		{"data centres for SimpleStrategy", Config{Replication: Replication{Datacenters: map[string]int{"dc1": 3}}}, "takes one factor"},
		{"tls settings that are off", Config{TLS: TLS{CAFile: "ca.pem"}}, "tls: settings are given, but enabled is not true"},
		{"a CA that is not there", Config{TLS: TLS{Enabled: true, CAFile: "/no/such/ca.pem"}}, "tls: ca_file: "},
		{"a certificate without its key", Config{TLS: TLS{Enabled: true, CertFile: "c.pem"}}, "belong together"},
		{"a batch limit of no use", Config{MaxBatchBytes: 10}, "max_batch_bytes: 10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.cfg.Hosts == nil && tc.name != "no hosts" {
				tc.cfg.Hosts = []string{"127.0.0.1"}
			}
			c, err := Open(tc.cfg, nil)
			if err == nil {
				c.Close(context.Background())
				t.Fatal("was taken")
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("says %q, want it to say %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "secret-word") {
				t.Errorf("tells the password: %v", err)
			}
		})
	}
}

func TestOpenNamesEveryMistake(t *testing.T) {
	_, err := Open(Config{Keyspace: "a b", Table: "c d", Consistency: "ONE", Shards: -1}, nil)
	if err == nil {
		t.Fatal("was taken")
	}
	for _, key := range []string{"hosts", "keyspace", "table", "consistency", "shards"} {
		if !strings.Contains(err.Error(), "cassandra: "+key+": ") {
			t.Errorf("does not name %s: %v", key, err)
		}
	}
}

func TestConsistencyAllows(t *testing.T) {
	for _, name := range []string{"QUORUM", "quorum", "LOCAL_QUORUM", "EACH_QUORUM", "ALL"} {
		level, err := parseConsistency(name)
		if err != nil || !strings.EqualFold(level.String(), name) {
			t.Errorf("%s: %v, %v", name, level, err)
		}
	}
}

// TestOpenNeedsNoNode: nobody listens on port 1.
func TestOpenNeedsNoNode(t *testing.T) {
	c, err := Open(Config{Hosts: []string{"127.0.0.1:1"}, Auth: Auth{User: "u", Password: "secret-word"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Probe(ctx); err == nil || !strings.Contains(err.Error(), "no node answers at 127.0.0.1:1") || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("the probe says %v", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if err := c.Probe(ctx); err == nil {
		t.Error("the probe passes after Close")
	}
}
