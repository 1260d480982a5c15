// Package rows is what the comparators for Cassandra have in common: the table
// that sluice would make, and how an event becomes a row of it. Unlike sluice they
// keep no index of a user's buckets, and so write less.
package rows

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/gocql/gocql"
)

// The values of --partition-by.
const (
	ByShard = "shard"
	ByUser  = "user"
)

const (
	tenant = "bench"
	bucket = int64(time.Hour / time.Millisecond)
	shards = 16
)

// Options say where rows go.
type Options struct {
	Hosts, Keyspace, PartitionBy string
	Replication                  int
	Connections                  int // to each node
}

// Flags adds the options to the command line.
func (o *Options) Flags(f *flag.FlagSet) {
	f.StringVar(&o.Hosts, "hosts", "127.0.0.1", "Cassandra's nodes, with commas")
	f.StringVar(&o.Keyspace, "keyspace", "peers", "keyspace, made if it is missing")
	f.StringVar(&o.PartitionBy, "partition-by", ByShard, "shard or user")
	f.IntVar(&o.Replication, "replication", 3, "replicas, of a keyspace that has to be made")
	f.IntVar(&o.Connections, "connections", 4, "to each node")
}

// A Table is where rows go.
type Table struct {
	Session *gocql.Session
	Insert  string // the statement that Args are of; gocql prepares it once a node
	byUser  bool
}

// A Row is an event. Times are in milliseconds; Received is in microseconds and
// the timestamp of the write.
type Row struct {
	ID, Type, User string
	TS, Received   int64
	Data           []byte
}

// Open connects, and makes the table if it is missing.
func Open(o Options) (*Table, error) {
	if o.PartitionBy != ByShard && o.PartitionBy != ByUser {
		return nil, fmt.Errorf("--partition-by %s: want shard or user", o.PartitionBy)
	}
	d := gocql.NewCluster(strings.Split(o.Hosts, ",")...)
	d.ProtoVersion = 4
	d.Consistency = gocql.Quorum
	d.NumConns = o.Connections
	d.Timeout, d.WriteTimeout, d.ConnectTimeout = 10*time.Second, 10*time.Second, 10*time.Second
	d.DefaultIdempotence = true
	d.MaxWaitSchemaAgreement = 30 * time.Second
	d.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy(), gocql.ShuffleReplicas())
	session, err := d.CreateSession()
	if err != nil {
		return nil, err
	}
	for _, cql := range o.schema() {
		if err := session.Query(cql).Exec(); err != nil {
			session.Close()
			return nil, fmt.Errorf("the table cannot be made: %w", err)
		}
	}
	t := &Table{Session: session, byUser: o.PartitionBy == ByUser}
	key, marks := "tenant, bucket, shard, user", "?, ?, ?, ?"
	if t.byUser {
		key, marks = "tenant, user, bucket", "?, ?, ?"
	}
	t.Insert = fmt.Sprintf("INSERT INTO %s.events (%s, ts, id, type, received, data) VALUES (%s, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
		o.Keyspace, key, marks)
	return t, nil
}

// schema returns the statements that make what is missing.
func (o Options) schema() []string {
	key := "(tenant, bucket, shard), user, ts, id"
	if o.PartitionBy == ByUser {
		key = "(tenant, user, bucket), ts, id"
	}
	return []string{
		fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': %d}",
			o.Keyspace, o.Replication),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.events (tenant text, bucket timestamp, shard int, user text, ts timestamp, id text, "+
			"type text, received bigint, data text, PRIMARY KEY (%s)) WITH compaction = {'class': 'TimeWindowCompactionStrategy', "+
			"'compaction_window_unit': 'DAYS', 'compaction_window_size': '7'}", o.Keyspace, key),
	}
}

// Shard returns the shard that a user's events are in.
func Shard(user string) int { return int(xxhash.Sum64String(user) % shards) }

// Args are what Insert takes.
func (t *Table) Args(r *Row) []any {
	cut := r.TS - r.TS%bucket
	if t.byUser {
		return []any{tenant, r.User, cut, r.TS, r.ID, r.Type, r.Received, r.Data, r.Received}
	}
	return []any{tenant, cut, Shard(r.User), r.User, r.TS, r.ID, r.Type, r.Received, r.Data, r.Received}
}
