// Package cassandra stores events in Apache Cassandra.
//
// # Tables
//
// A user's events are contiguous and on one replica set, in one of two layouts:
//
//	PRIMARY KEY ((tenant, bucket, shard), user, ts, id)   partition_by: shard
//	PRIMARY KEY ((tenant, user, bucket), ts, id)          partition_by: user
//
//	tenant    text       the tenant's name
//	bucket    timestamp  ts cut down to a multiple of Config.Bucket since the epoch
//	shard     int        xxHash64 (seed 0) of user's bytes, modulo Config.Shards
//	user      text
//	ts        timestamp  event time
//	id        text       the idempotency key within (tenant, user)
//	type      text
//	received  bigint     time of receipt, microseconds since the epoch
//	data      text       the event's own bytes, unchanged
//
// data is text and not blob: sluice takes nothing that is not JSON, so it is
// valid UTF-8, and as text it can be read in cqlsh and by Spark without a
// conversion. Text costs the server one check and compares by bytes, so ids sort
// as they do in Go. Bytes that are not UTF-8 are refused for good, alone.
//
// Nothing in a Cassandra table says which buckets a user has, and to look for
// them from now back to 1970 is half a million reads with buckets of an hour.
// Two small tables beside the events (here for the table events) answer it:
//
//	events_periods  PRIMARY KEY (tenant, period)
//	events_buckets  PRIMARY KEY ((tenant, period, shard), user, bucket)
//
// A period is 24 buckets long. events_buckets has a row for each bucket in which
// a user has events, in a partition that a whole batch of users shares: exactly
// as the batch of their events is one partition, so is the batch of their index
// rows. (By ((tenant, user), bucket) it would be a write an event for users who
// send less than one event a bucket.) Both are written, at the configured
// consistency, before the events they lead to, once per (user, bucket) and
// process: a bounded memory of what is written saves the repetition, and its
// loss costs a rewrite of the same row.
//
// shard, bucket and period are part of what is stored. The comment on the events
// table records them, and a table whose comment says otherwise is not written.
//
// # Once
//
// A row's key comes from the event and its cells carry the time of receipt as
// their timestamp, so to write a batch again is the same write, whatever became
// of the first one. That holds over restarts for events whose ts comes with them
// or with their id (UUIDv7, ULID). An event without either gets the time of
// receipt as its ts: sent again later, past the user's dedupe window, it has
// another ts and therefore is another row.
//
// # What is visible when
//
// A batch of one partition becomes visible at once. Where a user's events do not
// fit into one, the batches are written one after the other, in the user's order.
package cassandra
