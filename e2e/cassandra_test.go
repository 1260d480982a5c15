package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// oneTable is a configuration of one tenant, acme, on one table.
const oneTable = ports + `
sinks:
  store: {kind: cassandra, hosts: ["HOST"], keyspace: KEYSPACE, partition_by: LAYOUT, bucket: 1h, create_schema: CREATE,
          replication: {class: SimpleStrategy, factor: 1}}
tenants: {acme: {keys: [KEY(acme)]}}
`

func TestCassandraGetsEveryEventInEitherLayout(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, layout string
		apply        bool
	}{
		{"partitions of many users, the table made on start", "shard", false},
		{"partitions of one user, the table made by sluice schema apply", "user", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			keyspace := newKeyspace(t)
			config := configure(t, oneTable, "HOST", cassandraAddr(t), "KEYSPACE", keyspace, "LAYOUT", tc.layout, "CREATE", fmt.Sprint(!tc.apply))
			if tc.apply {
				for _, time := range []string{"first", "second"} {
					if r := sluice(t, nil, "schema", "apply", "-c", config); r.code != 0 {
						t.Fatalf("the %s sluice schema apply ended with %d: %s%s", time, r.code, r.out, r.err)
					}
				}
			}
			testCassandra(t, config, keyspace, tc.layout)
		})
	}
}

func testCassandra(t *testing.T, config, keyspace, layout string) {
	const hour = 3_600_000
	type want struct {
		id, user, kind, data string
		ts                   int64
	}
	wants := []want{
		{"plain", "ann", "view", `{"id":"plain","type":"view","user":"ann","ts":1767323045678}`, 1767323045678},
		{"blanks", "bob", "a b", `{ "user" : "bob" ,	"type":"a b", "id": "blanks", "ts":"2026-01-02T03:04:05.678Z" }`, 1767323045678},
		{"utf8", "日本😀", "view", `{"id":"utf8","type":"view","user":"日本\ud83d\ude00","ts":1767323045678,"s":"ß€😀\u0000"}`, 1767323045678},
		{"7", "42", "view", `{"id":7,"type":"view","user":42,"ts":1767323045678,"n":1E400}`, 1767323045678},
		{"early", "ann", "view", `{"id":"early","type":"view","user":"ann","ts":-86400001}`, -86400001},
	}
	var events []string
	for i := range 300 { // of 20 users in 15 buckets
		w := want{id: fmt.Sprintf("n-%d", i), user: fmt.Sprintf("u%d", i%20), kind: "step", ts: 1767323045678 + int64(i/20)*hour}
		w.data = fmt.Sprintf(`{"id":"%s","type":"step","user":"%s","ts":%d}`, w.id, w.user, w.ts)
		wants = append(wants, w)
	}
	for _, w := range wants {
		events = append(events, w.data)
	}
	p := serveReady(t, config)
	c := p.as("acme")
	c.store(t, events...)
	if a := c.post(t, "", asNDJSON, strings.Join(events, "\n")); a.status != 200 || a.Duplicates != len(events) {
		t.Errorf("sent a second time: %v", a)
	}

	check := func() []row {
		t.Helper()
		rows := readCassandra(t, keyspace)
		found := make(map[string]row)
		for _, r := range rows {
			found[r.User+" "+r.ID] = r
		}
		for _, w := range wants {
			r, ok := found[w.user+" "+w.id]
			bucket := w.ts - (w.ts%hour+hour)%hour
			if !ok || r.Tenant != "acme" || r.Type != w.kind || r.Data != w.data || r.TS != w.ts || r.Bucket != bucket {
				t.Errorf("the row of %s is %+v", w.id, r)
			}
			if (r.Shard != nil) != (layout == "shard") || r.Shard != nil && (*r.Shard < 0 || *r.Shard > 15) {
				t.Errorf("the shard of %s is %v", w.id, r.Shard)
			}
		}
		if len(rows) != len(wants) {
			t.Errorf("%d rows, want %d", len(rows), len(wants))
		}
		return rows
	}
	check()
	if got, want := c.events(t, "ann"), []string{wants[4].data, wants[0].data}; !slices.Equal(got, want) {
		t.Errorf("ann's events are read back as %q, want %q", got, want)
	}
	if got := c.events(t, "u7"); len(got) != 15 || idOf(t, got[14]) != "n-287" {
		t.Errorf("u7's events are read back as %q", got)
	}
	p.stop()

	p = serveReady(t, config)
	c = p.as("acme")
	if a := c.post(t, "", asNDJSON, strings.Join(events, "\n")); a.status != 200 || a.Accepted+a.Duplicates != len(events) {
		t.Errorf("sent again after a restart: %v", a)
	}
	check()
	p.stop()
}
