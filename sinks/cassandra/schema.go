package cassandra

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// column is a column of a table as system_schema.columns describes it.
type column struct {
	name, kind, cqlType string
	position            int // within its kind; -1 for regular columns
}

// table is a table as it should be.
type table struct {
	name    string
	columns []column
	options []string // what follows WITH
	comment string   // compared with the table's; empty: not compared
}

func newTable(name string, partition, clustering, regular []string) table {
	t := table{name: name}
	add := func(kind string, fields []string) {
		for i, field := range fields {
			name, cqlType, _ := strings.Cut(field, " ")
			if kind == "regular" {
				i = -1
			}
			t.columns = append(t.columns, column{name, kind, cqlType, i})
		}
	}
	add("partition_key", partition)
	add("clustering", clustering)
	add("regular", regular)
	return t
}

// tables returns the three tables, the events first.
func (c Config) tables() []table {
	l := c.layout()
	regular := []string{"type text", "received bigint", "data text"}
	events := newTable(c.Table, []string{"tenant text", "bucket timestamp", "shard int"},
		[]string{"user text", "ts timestamp", "id text"}, regular)
	if l.byUser {
		events = newTable(c.Table, []string{"tenant text", "user text", "bucket timestamp"},
			[]string{"ts timestamp", "id text"}, regular)
	}
	size, unit := c.window()
	events.comment = l.comment()
	events.options = []string{
		fmt.Sprintf("compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': '%s', 'compaction_window_size': '%d'}", unit, size),
		"comment = " + quote(events.comment),
	}
	buckets := newTable(c.Table+"_buckets", []string{"tenant text", "period timestamp", "shard int"},
		[]string{"user text", "bucket timestamp"}, nil)
	periods := newTable(c.Table+"_periods", []string{"tenant text"}, []string{"period timestamp"}, nil)
	return []table{events, buckets, periods}
}

// create returns the CQL that makes the table.
func (t table) create(keyspace string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (\n", ident(keyspace)+"."+ident(t.name))
	for _, c := range t.columns {
		fmt.Fprintf(&b, "  %s %s,\n", c.name, c.cqlType)
	}
	fmt.Fprintf(&b, "  PRIMARY KEY ((%s)", strings.Join(t.names("partition_key"), ", "))
	for _, name := range t.names("clustering") {
		b.WriteString(", " + name)
	}
	b.WriteString(")\n)")
	for i, option := range t.options {
		b.WriteString([]string{" WITH ", "\n  AND "}[min(i, 1)] + option)
	}
	return b.String()
}

func (t table) names(kind string) []string {
	var names []string
	for _, c := range t.columns {
		if c.kind == kind {
			names = append(names, c.name)
		}
	}
	return names
}

// keyspace returns the CQL that makes the keyspace.
func (c Config) keyspaceCQL() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': %s", ident(c.Keyspace), quote(c.Replication.Class))
	if c.Replication.Class == simpleStrategy {
		fmt.Fprintf(&b, ", 'replication_factor': %d", c.Replication.Factor)
	}
	for _, dc := range slices.Sorted(maps.Keys(c.Replication.Datacenters)) {
		fmt.Fprintf(&b, ", %s: %d", quote(dc), c.Replication.Datacenters[dc])
	}
	return b.String() + "}"
}

// Schema returns the statements, in order and without the semicolons, that make
// what cfg needs. cfg must be in order: Open says what is wrong with it.
func Schema(cfg Config) []string {
	cfg = cfg.withDefaults()
	all := []string{cfg.keyspaceCQL()}
	for _, t := range cfg.tables() {
		all = append(all, t.create(cfg.Keyspace))
	}
	return all
}

// ident quotes a validated name, so that capitals and reserved words hold.
func ident(name string) string { return `"` + name + `"` }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// schemaError says how what is there differs from what is needed. An operator
// can cure it while sluice runs.
type schemaError struct {
	missing bool // nothing is wrong, but something is not there yet
	faults  []string
}

func (e *schemaError) Error() string {
	hint := ""
	if e.missing {
		hint = " (run sluice schema apply, or set create_schema: true)"
	}
	return "cassandra: " + strings.Join(e.faults, "; ") + hint
}

// checkSchema compares what is there with what cfg needs. It returns a
// *schemaError for a difference.
func checkSchema(ctx context.Context, s *gocql.Session, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.Timeout) // a session that makes tables is more patient
	defer cancel()
	var replication map[string]string
	err := s.Query(`SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?`, cfg.Keyspace).
		WithContext(ctx).Consistency(gocql.LocalOne).Scan(&replication)
	if errors.Is(err, gocql.ErrNotFound) {
		return &schemaError{true, []string{"there is no keyspace " + cfg.Keyspace}}
	}
	if err != nil {
		return fmt.Errorf("cassandra: reading the schema: %w", err)
	}
	if cfg.LocalDC != "" && strings.HasSuffix(replication["class"], networkStrategy) && replication[cfg.LocalDC] == "" {
		return &schemaError{false, []string{fmt.Sprintf(
			"keyspace %s is not replicated in data centre %s, which local_dc names: ALTER its replication, or mend local_dc", cfg.Keyspace, cfg.LocalDC)}}
	}
	diff := &schemaError{missing: true}
	for _, t := range cfg.tables() {
		missing, faults, err := t.compare(ctx, s, cfg.Keyspace)
		if err != nil {
			return fmt.Errorf("cassandra: reading the schema: %w", err)
		}
		diff.faults = append(diff.faults, faults...)
		diff.missing = diff.missing && (missing || len(faults) == 0)
	}
	if len(diff.faults) > 0 {
		return diff
	}
	return nil
}

// compare says how the table that is there differs from t.
func (t table) compare(ctx context.Context, s *gocql.Session, keyspace string) (missing bool, faults []string, err error) {
	var comment string
	err = s.Query(`SELECT comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?`, keyspace, t.name).
		WithContext(ctx).Consistency(gocql.LocalOne).Scan(&comment)
	if errors.Is(err, gocql.ErrNotFound) {
		return true, []string{fmt.Sprintf("there is no table %s.%s", keyspace, t.name)}, nil
	}
	if err != nil {
		return false, nil, err
	}
	var there []column
	iter := s.Query(`SELECT column_name, kind, type, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?`, keyspace, t.name).
		WithContext(ctx).Consistency(gocql.LocalOne).Iter()
	for c := (column{}); iter.Scan(&c.name, &c.kind, &c.cqlType, &c.position); {
		there = append(there, c)
	}
	if err := iter.Close(); err != nil {
		return false, nil, err
	}
	return false, t.differences(keyspace, there, comment), nil
}

// differences lists what an operator has to know; regular columns that somebody
// has added are none of our business.
func (t table) differences(keyspace string, there []column, comment string) []string {
	where := keyspace + "." + t.name
	var faults []string
	for _, want := range t.columns {
		i := slices.IndexFunc(there, func(c column) bool { return c.name == want.name })
		switch {
		case i < 0:
			faults = append(faults, fmt.Sprintf("table %s has no column %s, want %s", where, want.name, want))
		case there[i] != want:
			faults = append(faults, fmt.Sprintf("table %s: column %s is %s, want %s", where, want.name, there[i], want))
		}
	}
	for _, c := range there {
		known := slices.ContainsFunc(t.columns, func(w column) bool { return w.name == c.name })
		if !known && c.kind != "regular" && c.kind != "static" {
			faults = append(faults, fmt.Sprintf("table %s has a column %s that is %s, want none", where, c.name, c))
		}
	}
	if t.comment != "" && comment != t.comment {
		faults = append(faults, fmt.Sprintf("table %s was made for another layout: its comment is %q and this configuration is %q "+
			"(partition_by, bucket and shards cannot be changed once there are events: put them back, or name another table)",
			where, comment, t.comment))
	}
	return faults
}

func (c column) String() string {
	if c.position < 0 {
		return c.cqlType
	}
	return fmt.Sprintf("%s, number %d of the %s", c.cqlType, c.position+1, strings.ReplaceAll(c.kind, "clustering", "clustering_key"))
}

// applySchema makes what is missing and returns what differs. It is idempotent
// and touches nothing that is there. Two at once are no good idea: a table that
// is made through two nodes at the same moment can get two ids.
//
// gocql takes nodes to agree as soon as the versions that one of them has heard
// of are the same. A node that has heard nothing yet then knows no keyspace where
// its neighbour has just made one, so such answers get a few seconds.
func applySchema(ctx context.Context, s *gocql.Session, cfg Config) error {
	for attempt := 1; ; attempt++ {
		err := createMissing(ctx, s, cfg)
		var diff *schemaError
		behind := errors.As(err, &diff) && diff.missing || classify(err) == Invalid
		if !behind || attempt == applyAttempts {
			return err
		}
		select {
		case <-time.After(applyPause):
		case <-ctx.Done():
			return err
		}
	}
}

const applyAttempts, applyPause = 20, 250 * time.Millisecond

func createMissing(ctx context.Context, s *gocql.Session, cfg Config) error {
	err := checkSchema(ctx, s, cfg)
	var diff *schemaError
	if !errors.As(err, &diff) || !diff.missing {
		return err
	}
	for _, cql := range Schema(cfg) {
		if err := s.Query(cql).WithContext(ctx).Exec(); err != nil {
			return fmt.Errorf("cassandra: %s: %w", firstLine(cql), err)
		}
		if err := s.AwaitSchemaAgreement(ctx); err != nil {
			return fmt.Errorf("cassandra: the nodes do not agree on the schema after %s: %w", firstLine(cql), err)
		}
	}
	return checkSchema(ctx, s, cfg)
}

func firstLine(cql string) string {
	line, _, _ := strings.Cut(cql, "\n")
	line, _, _ = strings.Cut(line, " WITH ")
	return strings.TrimSuffix(line, " (")
}
