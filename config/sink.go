package config

// The kinds of sink.
const (
	KindLocal     = "local"
	KindKafka     = "kafka"
	KindCassandra = "cassandra"
)

// Sink is one place where events can go. Of Local, Kafka and Cassandra the one
// that Kind names is set; its keys stand beside the common ones in the file.
type Sink struct {
	// What it is: `local` (the embedded store), `kafka` or `cassandra`.
	Kind string `yaml:"kind"`
	// How long one attempt to write a batch may take.
	Timeout Duration `yaml:"timeout"`
	// How a failed write is tried again.
	Retry Retry `yaml:"retry"`
	// When to stop trying and answer 503 at once.
	Circuit Circuit `yaml:"circuit"`

	Local     *Local     `yaml:"-"`
	Kafka     *Kafka     `yaml:"-"`
	Cassandra *Cassandra `yaml:"-"`
}

// Retry is how a failed write is tried again: after Min, then twice as long
// each time up to Max, jittered.
type Retry struct {
	// The wait before the second attempt; it doubles from there, with jitter.
	Min Duration `yaml:"min"`
	// The longest wait between two attempts.
	Max Duration `yaml:"max"`
	// After this long without success the events of the batch fail.
	GiveUp Duration `yaml:"give_up"`
}

// Circuit is when a sink counts as down, and how it is found to be back.
type Circuit struct {
	// Failed attempts in a row that open the circuit. While it is open, requests
	// that need this sink are answered 503 at once.
	Failures int `yaml:"failures"`
	// The wait before the first probe of a sink that is down; it doubles.
	ProbeMin Duration `yaml:"probe_min"`
	// The longest wait between two probes.
	ProbeMax Duration `yaml:"probe_max"`
}

// Local is the embedded store in Config.Dir.
type Local struct {
	// Events are kept in buckets of this much event time, and expire a bucket at
	// a time. Whole minutes, from 1m. Not to be changed once events are stored.
	Bucket Duration `yaml:"bucket"`
	// How long events are kept. 0: for ever.
	TTL Duration `yaml:"ttl"`
	// Bytes that stay free on the disk: with less than this, writes fail.
	MinFree Size `yaml:"min_free"`
}

// Kafka is a topic of a Kafka cluster.
type Kafka struct {
	// Brokers to ask for the cluster's layout first, `host:port` each.
	Brokers []string `yaml:"brokers"`
	// The topic. `{tenant}` in it stands for the tenant's name.
	Topic string `yaml:"topic"`
	// How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`. Batches
	// below 4 KiB never are: for them it costs more than it saves.
	Compression string `yaml:"compression"`
	// Whether a missing topic is created, with the partitions and replication
	// below. An existing one is never changed.
	CreateTopics bool `yaml:"create_topics"`
	// Partitions of a topic that is created.
	Partitions int `yaml:"partitions"`
	// Replicas of a topic that is created.
	Replication int `yaml:"replication"`
	// Topic for events that can never be written. Not supported by this version,
	// where it stays empty: such events are reported to their sender.
	DeadLetterTopic string `yaml:"dead_letter_topic"`
	// The name this gateway gives itself towards the brokers.
	ClientID string `yaml:"client_id"`
	// The largest record and record batch that the brokers take
	// (`message.max.bytes`).
	MaxRecord Size `yaml:"max_record"`
	// TLS towards the brokers.
	TLS ClientTLS `yaml:"tls"`
	// How to log in to the brokers.
	SASL SASL `yaml:"sasl"`
}

// SASL is a login to Kafka.
type SASL struct {
	// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`. Empty: no login.
	Mechanism string `yaml:"mechanism"`
	// User name.
	User string `yaml:"user"`
	// Password; better kept in `password_file` or an environment variable.
	Password Secret `yaml:"password"`
	// File that holds the password.
	PasswordFile string `yaml:"password_file" path:"file"`
}

// Cassandra is a table of a Cassandra cluster.
type Cassandra struct {
	// Nodes to connect to first, `host` or `host:port` each; the others are found.
	Hosts []string `yaml:"hosts"`
	// Port of hosts that are given without one.
	Port int `yaml:"port"`
	// The keyspace.
	Keyspace string `yaml:"keyspace"`
	// The table.
	Table string `yaml:"table"`
	// Replicas that must confirm a write: `QUORUM`, `LOCAL_QUORUM` (which needs
	// `local_dc`), `EACH_QUORUM` or `ALL`.
	Consistency string `yaml:"consistency"`
	// What a partition holds: `shard` (many users, which makes batches fast) or
	// `user`. Not to be changed for a table that exists.
	PartitionBy string `yaml:"partition_by"`
	// The event time of one partition: whole minutes, from 1m. Not to be changed
	// for a table that exists.
	Bucket Duration `yaml:"bucket"`
	// Partitions per tenant and bucket with `partition_by: shard`. Not to be
	// changed for a table that exists.
	Shards int `yaml:"shards"`
	// How long events are kept. 0: for ever.
	TTL Duration `yaml:"ttl"`
	// Whether keyspace and table are created on start, as by `sluice schema apply`.
	CreateSchema bool `yaml:"create_schema"`
	// Replication of a keyspace that is created.
	Replication Replication `yaml:"replication"`
	// The datacenter whose nodes are used as long as it has any. Empty: all alike.
	LocalDC string `yaml:"local_dc"`
	// How to log in.
	Auth Auth `yaml:"auth"`
	// TLS towards the nodes.
	TLS ClientTLS `yaml:"tls"`
}

// Replication is the replication of a keyspace.
type Replication struct {
	// `SimpleStrategy` or `NetworkTopologyStrategy`.
	Class string `yaml:"class"`
	// Replicas, with SimpleStrategy.
	Factor int `yaml:"factor"`
	// Replicas by datacenter, with NetworkTopologyStrategy.
	Datacenters map[string]int `yaml:"datacenters"`
}

// Auth is a login to Cassandra.
type Auth struct {
	// User name. Empty: no login.
	User string `yaml:"user"`
	// Password; better kept in `password_file` or an environment variable.
	Password Secret `yaml:"password"`
	// File that holds the password.
	PasswordFile string `yaml:"password_file" path:"file"`
}

// ClientTLS is TLS towards a sink.
type ClientTLS struct {
	// Whether TLS is spoken.
	Enabled bool `yaml:"enabled"`
	// Certificates of the authorities to trust, PEM. Empty: the system's.
	CAFile string `yaml:"ca_file" path:"file"`
	// This gateway's own certificate, PEM, where the other side asks for one.
	CertFile string `yaml:"cert_file" path:"file"`
	// Private key of the certificate, PEM.
	KeyFile string `yaml:"key_file" path:"file"`
	// The name the other side's certificate must have. Empty: its host.
	ServerName string `yaml:"server_name"`
	// Whether any certificate will do. For tests only: it makes TLS worthless.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}
