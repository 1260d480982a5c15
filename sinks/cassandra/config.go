package cassandra

import (
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// The values of Config.PartitionBy.
const (
	ByShard = "shard" // many users a partition: the faster way to write
	ByUser  = "user"  // one user a partition
)

// Config says where and how events are stored. The zero value of a field that
// has a default means the default.
type Config struct {
	Hosts []string // first contacts, "host" or "host:port"; the other nodes are found through them
	Port  int      // of every node that names none (9042)

	// Keyspace and Table are taken exactly as written, capitals included: letters,
	// digits and _, beginning with a letter. ("sluice", "events")
	Keyspace, Table string

	// Consistency of every write and read: QUORUM (the default), LOCAL_QUORUM,
	// EACH_QUORUM or ALL. Weaker ones cannot back a promise that an event is
	// stored.
	Consistency string
	// LocalDC, when set, is the only data centre whose nodes are talked to. Needed
	// with LOCAL_QUORUM: otherwise it would be the quorum of whichever answers.
	LocalDC string

	PartitionBy string        // ByShard (the default) or ByUser
	Bucket      time.Duration // of event time in one partition; whole minutes, up to ten years (1h)
	Shards      int           // partitions a bucket, 1 to 65536 (16)

	// TTL is the longest time to live of any tenant, 0 for ever. It sets the
	// compaction window and nothing else: what expires when is Tenant's ttl.
	TTL time.Duration

	// CreateSchema makes a missing keyspace and missing tables on connecting.
	CreateSchema bool
	Replication  Replication // of a keyspace that has to be made

	Timeout        time.Duration // of one attempt at one request; above the servers' own 2 s (4s)
	ConnectTimeout time.Duration // of each step of connecting to one node (5s)

	Auth Auth
	TLS  TLS

	// MaxBatchBytes bounds a batch, measured as what is sent for its rows. A row
	// that is larger is written alone. (48 KiB, below the 50 KiB at which servers
	// fail a batch by default)
	MaxBatchBytes int

	dialer gocql.Dialer // tests go through a proxy
}

// Replication of a new keyspace: SimpleStrategy with Factor, or
// NetworkTopologyStrategy with a factor for each data centre.
type Replication struct {
	Class       string         // SimpleStrategy (the default) or NetworkTopologyStrategy
	Factor      int            // SimpleStrategy: copies of each row (3)
	Datacenters map[string]int // NetworkTopologyStrategy: copies by data centre
}

// Auth is the credentials, none when User is empty.
type Auth struct {
	User, Password string
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	set(&c.Port, 9042)
	set(&c.Keyspace, "sluice")
	set(&c.Table, "events")
	set(&c.Consistency, "QUORUM")
	set(&c.PartitionBy, ByShard)
	set(&c.Bucket, time.Hour)
	set(&c.Shards, 16)
	set(&c.Replication.Class, simpleStrategy)
	if c.Replication.Class == simpleStrategy {
		set(&c.Replication.Factor, 3)
	}
	set(&c.Timeout, 4*time.Second)
	set(&c.ConnectTimeout, 5*time.Second)
	set(&c.MaxBatchBytes, 48<<10)
	return c
}

func set[T comparable](field *T, byDefault T) {
	var zero T
	if *field == zero {
		*field = byDefault
	}
}

const (
	simpleStrategy  = "SimpleStrategy"
	networkStrategy = "NetworkTopologyStrategy"

	maxBucket = 10 * 366 * 24 * time.Hour
	maxShards = 1 << 16
	maxTTL    = 20 * 365 * 24 * time.Hour // the server's limit
	// Cassandra's limit on a name is 48; the index tables append up to 8.
	maxKeyspaceName, maxTableName = 48, 40
)

var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// validate returns everything that is wrong with c, nil if nothing is.
func (c Config) validate() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("cassandra: "+format, args...)) }

	if len(c.Hosts) == 0 {
		bad("hosts: name at least one node")
	}
	for _, host := range c.Hosts {
		if err := checkHost(host); err != nil {
			bad("hosts: %q: %v", host, err)
		}
	}
	if c.Port < 1 || c.Port > math.MaxUint16 {
		bad("port: %d is not a port", c.Port)
	}
	for _, name := range []struct {
		key, value string
		most       int
	}{{"keyspace", c.Keyspace, maxKeyspaceName}, {"table", c.Table, maxTableName}} {
		if len(name.value) > name.most || !identifier.MatchString(name.value) {
			bad("%s: %q is not a name: want at most %d letters, digits and _, beginning with a letter",
				name.key, name.value, name.most)
		}
	}
	if _, err := parseConsistency(c.Consistency); err != nil {
		bad("consistency: %v", err)
	} else if strings.EqualFold(c.Consistency, "LOCAL_QUORUM") && c.LocalDC == "" {
		bad("local_dc: consistency LOCAL_QUORUM needs the name of the data centre whose quorum is meant")
	}
	if c.PartitionBy != ByShard && c.PartitionBy != ByUser {
		bad("partition_by: %q is neither %s nor %s", c.PartitionBy, ByShard, ByUser)
	}
	if c.Bucket < time.Minute || c.Bucket > maxBucket || c.Bucket%time.Minute != 0 {
		bad("bucket: %v: want whole minutes, from 1m to ten years", c.Bucket)
	}
	if c.Shards < 1 || c.Shards > maxShards {
		bad("shards: %d: want 1 to %d", c.Shards, maxShards)
	}
	if c.TTL < 0 || c.TTL > maxTTL {
		bad("ttl: %v: want 0 (kept for ever) to 20 years", c.TTL)
	}
	if c.Timeout < time.Millisecond {
		bad("timeout: %v: want at least 1ms", c.Timeout)
	}
	if c.ConnectTimeout < time.Millisecond {
		bad("connect_timeout: %v: want at least 1ms", c.ConnectTimeout)
	}
	if c.MaxBatchBytes < 1024 || c.MaxBatchBytes > maxRowBytes {
		bad("max_batch_bytes: %d: want 1 KiB to %d", c.MaxBatchBytes, maxRowBytes)
	}
	if c.Auth.User == "" && c.Auth.Password != "" {
		bad("auth: a password without a user")
	}
	if err := c.Replication.validate(); err != nil {
		bad("replication: %v", err)
	}
	return errors.Join(wrong...)
}

func checkHost(host string) error {
	name, port, err := net.SplitHostPort(host)
	if err != nil { // a name or address alone
		name, port = host, "1"
	}
	if name == "" || strings.ContainsAny(name, " /@\t\r\n") {
		return errors.New("want a host name or address, optionally with :port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > math.MaxUint16 {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func (r Replication) validate() error {
	switch r.Class {
	case simpleStrategy:
		if len(r.Datacenters) > 0 {
			return fmt.Errorf("%s takes one factor, not one for each data centre", simpleStrategy)
		}
		if r.Factor < 1 || r.Factor > 100 {
			return fmt.Errorf("factor %d: want 1 to 100", r.Factor)
		}
	case networkStrategy:
		if len(r.Datacenters) == 0 {
			return fmt.Errorf("%s takes a factor for each data centre, such as {dc1: 3}", networkStrategy)
		}
		for dc, factor := range r.Datacenters {
			if factor < 1 || factor > 100 {
				return fmt.Errorf("data centre %q: factor %d: want 1 to 100", dc, factor)
			}
			if dc == "" || dc == "class" || strings.ContainsFunc(dc, func(r rune) bool { return r < ' ' }) {
				return fmt.Errorf("%q is not the name of a data centre", dc)
			}
		}
	default:
		return fmt.Errorf("class %q is neither %s nor %s", r.Class, simpleStrategy, networkStrategy)
	}
	return nil
}

var allowed = map[string]gocql.Consistency{
	"QUORUM": gocql.Quorum, "LOCAL_QUORUM": gocql.LocalQuorum, "EACH_QUORUM": gocql.EachQuorum, "ALL": gocql.All,
}

// parseConsistency returns the level called name if it can back ack=stored.
func parseConsistency(name string) (gocql.Consistency, error) {
	upper := strings.ToUpper(name)
	if level, ok := allowed[upper]; ok {
		return level, nil
	}
	const want = "want QUORUM, LOCAL_QUORUM, EACH_QUORUM or ALL"
	if slices.Contains([]string{"ANY", "ONE", "TWO", "THREE", "LOCAL_ONE"}, upper) {
		return 0, fmt.Errorf("%s is confirmed by too few replicas for an event to count as stored: %s", upper, want)
	}
	if strings.HasSuffix(upper, "SERIAL") {
		return 0, fmt.Errorf("%s is for lightweight transactions, which sluice does not use: %s", upper, want)
	}
	return 0, fmt.Errorf("%q is not a consistency level: %s", name, want)
}
