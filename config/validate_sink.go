package config

import (
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	durationMS   = Duration(time.Millisecond)
	durationHour = Duration(time.Hour)
	tenYears     = 3653 * Duration(day)

	// maxRow is below the largest mutation of a server at its defaults, 16 MiB.
	maxRow Size = 15 << 20
)

// sink checks one sink, its common settings and those of its kind.
func (k *checker) sink(path string, s Sink) {
	if s.Kind == "" {
		return // reported where it was decoded
	}
	k.between(path+".timeout", s.Timeout, 10*durationMS, durationHour)
	k.between(path+".retry.min", s.Retry.Min, durationMS, durationHour)
	k.between(path+".retry.max", s.Retry.Max, durationMS, durationHour)
	k.between(path+".retry.give_up", s.Retry.GiveUp, 0, Duration(day))
	k.ordered(path+".retry", "min", "max", s.Retry.Min, s.Retry.Max)
	k.within(path+".circuit.failures", s.Circuit.Failures, 1, 1000)
	k.between(path+".circuit.probe_min", s.Circuit.ProbeMin, durationMS, durationHour)
	k.between(path+".circuit.probe_max", s.Circuit.ProbeMax, durationMS, durationHour)
	k.ordered(path+".circuit", "probe_min", "probe_max", s.Circuit.ProbeMin, s.Circuit.ProbeMax)
	switch {
	case s.Local != nil:
		k.local(path, s.Local)
	case s.Kafka != nil:
		k.kafka(path, s.Kafka)
	case s.Cassandra != nil:
		k.cassandra(path, s.Cassandra)
	}
}

func (k *checker) local(path string, l *Local) {
	k.bucket(path+".bucket", l.Bucket)
	k.ttl(path+".ttl", l.TTL)
	k.sized(path+".min_free", l.MinFree, 1<<20, 1<<50)
}

// ttl checks how long events are kept.
func (k *checker) ttl(path string, d Duration) {
	if d != 0 {
		k.between(path, d, Duration(time.Second), 20*365*Duration(day)) // 20 years is Cassandra's limit
	}
}

var (
	topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	cqlName   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

func (k *checker) kafka(path string, s *Kafka) {
	k.addresses(path+".brokers", s.Brokers, true)
	k.topic(path+".topic", s.Topic)
	if s.DeadLetterTopic != "" {
		k.wrong(path+".dead_letter_topic", "dead_letter_topic: not supported by this version")
	}
	k.oneOf(path+".compression", s.Compression, "none", "gzip", "snappy", "lz4", "zstd")
	k.within(path+".partitions", s.Partitions, 1, 100_000)
	k.within(path+".replication", s.Replication, 1, 100)
	k.sized(path+".max_record", s.MaxRecord, 4<<10, 64<<20)
	if !topicName.MatchString(s.ClientID) {
		k.wrong(path+".client_id", "want letters, digits, and . _ -")
	}
	k.clientTLS(path+".tls", s.TLS)
	k.sasl(path+".sasl", s.SASL)
	room := s.MaxRecord - recordOverhead
	if !k.failedAt("data.max_event") && !k.failedAt(path+".max_record") && k.c.Data.MaxEvent > room {
		where := path + ".max_record"
		if _, set := k.places[where]; !set {
			if _, set := k.places["data.max_event"]; set {
				where = "data.max_event"
			}
		}
		k.wrong(where, "data.max_event (%s) does not fit into max_record (%s) with its key and headers: it may be at most %s",
			k.c.Data.MaxEvent, s.MaxRecord, room)
	}
}

// recordOverhead is room for what a Kafka record holds besides the event, user
// (256), id (128), type (128), tenant (64) and the names of headers, and for
// the header of its batch.
const recordOverhead = 2 << 10

func (k *checker) topic(path, topic string) {
	name := strings.ReplaceAll(topic, "{tenant}", "t")
	if !topicName.MatchString(name) || name == "." || name == ".." {
		k.wrong(path, "not a topic: want 1 to 249 letters, digits, and . _ -; {tenant} stands for the tenant's name")
	}
}

func (k *checker) sasl(path string, s SASL) {
	if s.Mechanism == "" {
		if s != (SASL{}) {
			k.wrong(path, "no mechanism; want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return
	}
	k.oneOf(path+".mechanism", s.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	if s.User == "" {
		k.wrong(path+".user", "%s needs a user", shorten(s.Mechanism))
	}
	if s.Password == "" && !k.failedAt(path+".password_file") {
		k.wrong(path+".password", "%s needs a password or a password_file", shorten(s.Mechanism))
	}
}

func (k *checker) cassandra(path string, s *Cassandra) {
	k.addresses(path+".hosts", s.Hosts, false)
	k.within(path+".port", s.Port, 1, 65535)
	k.cqlName(path+".keyspace", s.Keyspace, 48)
	k.cqlName(path+".table", s.Table, 40) // what is made beside it has longer names
	switch s.Consistency {
	case "ANY", "ONE", "TWO", "THREE", "LOCAL_ONE":
		k.wrong(path+".consistency", "%s is too weak: what fewer than most replicas confirmed can be lost with them; want QUORUM or LOCAL_QUORUM", s.Consistency)
	default:
		k.oneOf(path+".consistency", s.Consistency, "QUORUM", "LOCAL_QUORUM", "EACH_QUORUM", "ALL")
	}
	if s.Consistency == "LOCAL_QUORUM" && s.LocalDC == "" {
		k.wrong(path+".local_dc", "LOCAL_QUORUM needs the name of the datacenter whose quorum is meant")
	}
	if k.c.Data.MaxEvent > maxRow && !k.failedAt("data.max_event") {
		k.wrong("data.max_event", "max_event (%s) is more than Cassandra takes (%s)", k.c.Data.MaxEvent, maxRow)
	}
	k.oneOf(path+".partition_by", s.PartitionBy, "shard", "user")
	k.bucket(path+".bucket", s.Bucket)
	k.within(path+".shards", s.Shards, 1, 65536)
	k.ttl(path+".ttl", s.TTL)
	k.replication(path+".replication", s.Replication)
	if s.Auth.User == "" && s.Auth != (Auth{}) {
		k.wrong(path+".auth.user", "a password without a user")
	}
	if s.Auth.User != "" && s.Auth.Password == "" && !k.failedAt(path+".auth.password_file") {
		k.wrong(path+".auth.password", "a user without a password or password_file")
	}
	k.clientTLS(path+".tls", s.TLS)
}

func (k *checker) cqlName(path, name string, longest int) {
	if !cqlName.MatchString(name) || len(name) > longest {
		k.wrong(path, "want at most %d letters, digits and _, a letter first, got %q", longest, shorten(name))
	}
}

// bucket checks the event time of a bucket.
func (k *checker) bucket(path string, d Duration) {
	k.between(path, d, Duration(time.Minute), tenYears)
	if d%Duration(time.Minute) != 0 {
		k.wrong(path, "want whole minutes, got %s", d)
	}
}

func (k *checker) replication(path string, r Replication) {
	k.oneOf(path+".class", r.Class, "SimpleStrategy", "NetworkTopologyStrategy")
	switch r.Class {
	case "SimpleStrategy":
		k.within(path+".factor", r.Factor, 1, 100)
		if len(r.Datacenters) > 0 {
			k.wrong(path+".datacenters", "SimpleStrategy knows no datacenters; want class: NetworkTopologyStrategy")
		}
	case "NetworkTopologyStrategy":
		if len(r.Datacenters) == 0 {
			k.wrong(path+".datacenters", "NetworkTopologyStrategy needs the replicas of each datacenter, such as {dc1: 3}")
		}
		if _, set := k.places[path+".factor"]; set {
			k.wrong(path+".factor", "NetworkTopologyStrategy takes its replicas from datacenters")
		}
		for _, dc := range slices.Sorted(maps.Keys(r.Datacenters)) {
			k.within(path+".datacenters."+dc, r.Datacenters[dc], 1, 100)
		}
	}
}

// addresses checks a list of hosts, with a port each where that is needed.
func (k *checker) addresses(path string, list []string, withPort bool) {
	if len(list) == 0 {
		k.wrong(path, "want at least one")
	}
	seen := map[string]bool{}
	for i, a := range list {
		at := path + "[" + strconv.Itoa(i) + "]"
		want := "host or host:port"
		if withPort {
			want = "host:port"
		}
		host, port, err := net.SplitHostPort(a)
		bare := err != nil && !withPort && (!strings.Contains(a, ":") || net.ParseIP(a) != nil)
		switch n, notNumber := strconv.Atoi(port); {
		case strings.ContainsAny(a, " /@,") || a == "" || err != nil && !bare || err == nil && host == "":
			k.wrong(at, "want %s, got %q", want, shorten(a))
		case err == nil && (notNumber != nil || n < 1 || n > 65535):
			k.wrong(at, "want a port from 1 to 65535, got %q", shorten(port))
		}
		if seen[a] {
			k.wrong(at, "%q is in the list twice", shorten(a))
		}
		seen[a] = true
	}
}

// oneOf reports a word that is none of the choices.
func (k *checker) oneOf(path, word string, choices ...string) {
	if !slices.Contains(choices, word) {
		k.wrong(path, "want %s, got %q%s", orList(choices), shorten(word), closest(word, choices))
	}
}

func closest(word string, choices []string) string {
	s := didYouMean(word, choices)
	if strings.HasPrefix(s, " (did") {
		return s
	}
	return "" // the choices were said already
}
