package cassandra

import "fmt"

// statements are the CQL of one configuration. Each is prepared by gocql, once
// for each node.
type statements struct {
	insertEvent, insertBucket, insertPeriod string
	// A user's events in one bucket, between two (ts, id) exclusively; by
	// direction: ascending, descending.
	selectEvents  [2]string
	selectBuckets [2]string // of a user in one period
	selectPeriods [2]string // of a tenant
	probe         string
}

func (c Config) statements() statements {
	in := func(table string) string { return ident(c.Keyspace) + "." + ident(table) }
	events, buckets, periods := in(c.Table), in(c.Table+"_buckets"), in(c.Table+"_periods")
	s := statements{
		insertEvent: "INSERT INTO " + events + " (tenant, bucket, shard, user, ts, id, type, received, data)" +
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
		insertBucket: "INSERT INTO " + buckets + " (tenant, period, shard, user, bucket) VALUES (?, ?, ?, ?, ?) USING TTL ?",
		insertPeriod: "INSERT INTO " + periods + " (tenant, period) VALUES (?, ?) USING TTL ?",
		probe:        "SELECT id FROM " + events + " WHERE tenant = ? AND bucket = ? AND shard = ? LIMIT 1",
	}
	partition, first := "tenant = ? AND bucket = ? AND shard = ? AND user = ?", "user %[1]s, "
	if c.PartitionBy == ByUser {
		s.insertEvent = "INSERT INTO " + events + " (tenant, user, bucket, ts, id, type, received, data)" +
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
		s.probe = "SELECT id FROM " + events + " WHERE tenant = ? AND user = ? AND bucket = ? LIMIT 1"
		partition, first = "tenant = ? AND user = ? AND bucket = ?", ""
	}
	for i, direction := range []string{"ASC", "DESC"} {
		s.selectEvents[i] = fmt.Sprintf("SELECT ts, id, type, received, data FROM "+events+" WHERE "+partition+
			" AND (ts, id) > (?, ?) AND (ts, id) < (?, ?) ORDER BY "+first+"ts %[1]s, id %[1]s LIMIT ?", direction)
		s.selectBuckets[i] = "SELECT bucket FROM " + buckets + " WHERE tenant = ? AND period = ? AND shard = ? AND user = ?" +
			" AND bucket >= ? AND bucket <= ? ORDER BY user " + direction + ", bucket " + direction
		s.selectPeriods[i] = "SELECT period FROM " + periods + " WHERE tenant = ? AND period >= ? AND period <= ? ORDER BY period " + direction
	}
	return s
}
