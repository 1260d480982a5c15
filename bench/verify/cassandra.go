package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// tableParts is how many ranges of tokens a table is read in: enough to see it go
// on, few enough to cost nothing.
const tableParts = 64

func cassandraSession(o Options) (*gocql.Session, error) {
	cluster := gocql.NewCluster(o.Hosts...)
	cluster.ProtoVersion = 4
	cluster.Consistency = gocql.Quorum // what was stored at QUORUM is seen at QUORUM
	cluster.ConnectTimeout, cluster.Timeout = 10*time.Second, time.Minute
	cluster.PageSize = 2000
	// A table is read page by page, for which one connection does; and one that is
	// still being made when the session closes is tried again for seconds.
	cluster.NumConns = 1
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: 50 * time.Millisecond}
	cluster.RetryPolicy = &gocql.SimpleRetryPolicy{NumRetries: 3} // of one page, which has not been handed on
	cluster.Logger = log.New(io.Discard, "", 0)
	tls, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	if tls != nil {
		cluster.SslOpts = &gocql.SslOptions{Config: tls, EnableHostVerification: true}
	}
	if o.User != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: o.User, Password: o.Password}
	}
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("verify: Cassandra at %s: %w", strings.Join(o.Hosts, ","), err)
	}
	return session, nil
}

// partitionKey returns the columns of the table's partition key, in their order:
// one layout has (tenant, bucket, shard), the other (tenant, user, bucket).
func partitionKey(ctx context.Context, session *gocql.Session, o Options) ([]string, error) {
	type column struct {
		name     string
		position int
	}
	var key []column
	ided := false
	rows := session.Query(`SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?`, o.Keyspace, o.Table).WithContext(ctx).Iter()
	var name, kind string
	var position int
	for rows.Scan(&name, &kind, &position) {
		ided = ided || name == "id"
		if kind == "partition_key" {
			key = append(key, column{quote(name), position})
		}
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("verify: the columns of %s.%s: %w", o.Keyspace, o.Table, err)
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("verify: there is no table %s.%s", o.Keyspace, o.Table)
	}
	if !ided {
		return nil, fmt.Errorf("verify: the table %s.%s has no column id: it is none of sluice's", o.Keyspace, o.Table)
	}
	slices.SortFunc(key, func(a, b column) int { return a.position - b.position })
	var names []string
	for _, c := range key {
		names = append(names, c.name)
	}
	return names, nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func markCassandra(ctx context.Context, o Options) error {
	session, err := cassandraSession(o)
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = partitionKey(ctx, session, o)
	return err
}

// readCassandra reads the whole table, range by range of its tokens: whatever the
// layout, and also what is not where it should be.
func readCassandra(ctx context.Context, o Options, j *judge) error {
	session, err := cassandraSession(o)
	if err != nil {
		return err
	}
	defer session.Close()
	key, err := partitionKey(ctx, session, o)
	if err != nil {
		return err
	}
	token := "token(" + strings.Join(key, ", ") + ")"
	cql := fmt.Sprintf("SELECT id FROM %s.%s WHERE %s > ? AND %s <= ?", quote(o.Keyspace), quote(o.Table), token, token)
	low := int64(math.MinInt64) // which no row has
	for i := range uint64(tableParts) {
		high := int64(math.MaxInt64)
		if i < tableParts-1 {
			high = low + math.MaxUint64/tableParts
		}
		rows := session.Query(cql, low, high).WithContext(ctx).Iter()
		var id string
		for rows.Scan(&id) {
			j.see(id)
		}
		if err := rows.Close(); err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("verify: reading %s.%s, part %d of %d: %w", o.Keyspace, o.Table, i+1, tableParts, err))
		}
		low = high
		o.progress(Progress{i + 1, tableParts, "parts of the table"})
	}
	return nil
}
