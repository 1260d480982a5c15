package cassandra

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSchema(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"by shard", Config{}, `
CREATE KEYSPACE IF NOT EXISTS "sluice" WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3};
CREATE TABLE IF NOT EXISTS "sluice"."events" (
  tenant text,
  bucket timestamp,
  shard int,
  user text,
  ts timestamp,
  id text,
  type text,
  received bigint,
  data text,
  PRIMARY KEY ((tenant, bucket, shard), user, ts, id)
) WITH compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': '7'}
  AND comment = 'sluice events, layout 1: partition_by=shard bucket=3600s shards=16 periods=24';
CREATE TABLE IF NOT EXISTS "sluice"."events_buckets" (
  tenant text,
  period timestamp,
  shard int,
  user text,
  bucket timestamp,
  PRIMARY KEY ((tenant, period, shard), user, bucket)
);
CREATE TABLE IF NOT EXISTS "sluice"."events_periods" (
  tenant text,
  period timestamp,
  PRIMARY KEY ((tenant), period)
);
`},
		{"by user, in two data centres", Config{
			Keyspace: "Store", PartitionBy: ByUser, Bucket: 24 * time.Hour, Shards: 4, TTL: 30 * 24 * time.Hour,
			Replication: Replication{Class: networkStrategy, Datacenters: map[string]int{"west": 3, "o'ost": 2}},
		}, `
CREATE KEYSPACE IF NOT EXISTS "Store" WITH replication = {'class': 'NetworkTopologyStrategy', 'o''ost': 2, 'west': 3};
CREATE TABLE IF NOT EXISTS "Store"."events" (
  tenant text,
  user text,
  bucket timestamp,
  ts timestamp,
  id text,
  type text,
  received bigint,
  data text,
  PRIMARY KEY ((tenant, user, bucket), ts, id)
) WITH compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': '1'}
  AND comment = 'sluice events, layout 1: partition_by=user bucket=86400s shards=4 periods=24';
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := "\n" + strings.Join(Schema(tc.cfg), ";\n") + ";\n"
			if !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	events := Config{}.withDefaults().tables()[0]
	change := func(name string, f func(*column)) []column {
		columns := slices.Clone(events.columns)
		f(&columns[slices.IndexFunc(columns, func(c column) bool { return c.name == name })])
		return columns
	}
	for _, tc := range []struct {
		name    string
		there   []column
		comment string
		says    string // empty: no difference
	}{
		{"the same table", events.columns, events.comment, ""},
		{"a column of the operator's own", append(slices.Clone(events.columns), column{"note", "regular", "text", -1}), events.comment, ""},
		{"a missing column", slices.DeleteFunc(slices.Clone(events.columns), func(c column) bool { return c.name == "received" }), events.comment,
			"table k.events has no column received, want bigint"},
		{"another type", change("data", func(c *column) { c.cqlType = "blob" }), events.comment,
			"table k.events: column data is blob, want text"},
		{"another order of the key", change("user", func(c *column) { c.position = 1 }), events.comment,
			"column user is text, number 2 of the clustering_key, want text, number 1 of the clustering_key"},
		{"a column that should be in the key", change("id", func(c *column) { c.kind, c.position = "regular", -1 }), events.comment,
			"column id is text, want text, number 3 of the clustering_key"},
		{"a key that is longer", append(slices.Clone(events.columns), column{"day", "clustering", "int", 3}), events.comment,
			"has a column day that is int, number 4 of the clustering_key, want none"},
		{"another number of shards", events.columns, strings.Replace(events.comment, "shards=16", "shards=32", 1),
			"was made for another layout: its comment is"},
		{"no comment", events.columns, "", `its comment is ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.Join(events.differences("k", tc.there, tc.comment), "; ")
			if tc.says == "" && got != "" || !strings.Contains(got, tc.says) {
				t.Errorf("says %q, want %q", got, tc.says)
			}
		})
	}
}
