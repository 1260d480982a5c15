package e2e

import (
	"slices"
	"strings"
	"testing"
)

// manyTenants has three sinks: both writes two of them, bus and shop one each
// of those, home the embedded store.
const manyTenants = ports + `
dir: ./data
sinks:
  bus: {kind: kafka, brokers: ["BROKER"], topic: "NAME.{tenant}", create_topics: true, partitions: 2, replication: 1}
  store: {kind: cassandra, hosts: ["HOST"], keyspace: NAME, create_schema: true, replication: {class: SimpleStrategy, factor: 1}}
  local: {kind: local, min_free: 1MiB}
tenants:
  both: {keys: [KEY(both)], sink: [bus, store]}
  bus:  {keys: [KEY(bus), KEY(another)], sink: bus}
  shop: {keys: [KEY(shop)], sink: store}
  home: {keys: [KEY(home)], sink: local}
`

func TestTenantsShareAProcessAndNothingElse(t *testing.T) {
	t.Parallel()
	name := newKeyspace(t)
	p := serveReady(t, configure(t, manyTenants, "BROKER", kafkaAddr(t), "HOST", cassandraAddr(t), "NAME", name))
	// All four have a user ann who does the same at the same time, with the same id.
	eventOf := func(tenant string) string {
		return `{"id":"same","type":"hello","user":"ann","ts":1767323045678,"of":"` + tenant + `"}`
	}
	for _, tenant := range []string{"both", "bus", "shop", "home"} {
		p.as(tenant).store(t, eventOf(tenant))
	}

	t.Run("stored means stored in both sinks", func(t *testing.T) {
		a := p.as("both").post(t, "?receipts=1", asJSON, `{"id":"two","type":"hello","user":"ann","ts":1767323045679}`)
		if a.status != 200 || a.Ack != "stored" || len(a.Receipts) != 1 || a.Receipts[0].Outcome != "stored" {
			t.Fatalf("got %v", a)
		}
		records, rows := byID(readKafka(t, name+".both")), readCassandra(t, name)
		if len(records["two"]) != 1 || !slices.ContainsFunc(rows, func(r row) bool { return r.Tenant == "both" && r.ID == "two" }) {
			t.Errorf("Kafka has %v, Cassandra %+v", records, rows)
		}
		if !strings.Contains(a.Receipts[0].Where, name+".both/") {
			t.Errorf("the receipt says %q", a.Receipts[0].Where)
		}
	})
	t.Run("each tenant's events are in its sinks and no others", func(t *testing.T) {
		for tenant, records := range map[string][]record{"both": readKafka(t, name+".both"), "bus": readKafka(t, name+".bus")} {
			for _, r := range records {
				if r.Headers["tenant"] != tenant || r.Headers["id"] == "same" && r.Value != eventOf(tenant) {
					t.Errorf("in the topic of %s is %+v", tenant, r)
				}
			}
		}
		seen := make(map[string]string)
		for _, r := range readCassandra(t, name) {
			if r.ID == "same" {
				seen[r.Tenant] = r.Data
			}
		}
		if len(seen) != 2 || seen["both"] != eventOf("both") || seen["shop"] != eventOf("shop") {
			t.Errorf("in Cassandra is %v", seen)
		}
	})
	t.Run("a key reads its own tenant's events only", func(t *testing.T) {
		for _, tenant := range []string{"shop", "home"} {
			if got := p.as(tenant).events(t, "ann"); !slices.Equal(got, []string{eventOf(tenant)}) {
				t.Errorf("%s reads %q", tenant, got)
			}
		}
		for _, e := range p.as("both").events(t, "ann") {
			if idOf(t, e) == "same" && e != eventOf("both") {
				t.Errorf("both reads %q", e)
			}
		}
	})
	t.Run("another key of a tenant is as good", func(t *testing.T) {
		a := p.as("another").post(t, "", asJSON, eventOf("bus"))
		if a.status != 200 || a.Duplicates != 1 {
			t.Errorf("got %v", a)
		}
	})
	t.Run("a tenant that has Kafka only cannot read, and is told why", func(t *testing.T) {
		a := p.as("bus").get(t, "/v1/users/ann/events")
		if a.status != 501 || a.Code != "not_queryable" || a.Detail == "" {
			t.Errorf("got %v", a)
		}
	})
	t.Run("a key that no tenant has is refused", func(t *testing.T) {
		for _, c := range []*client{p.as("nobody"), {p.as("both").http, "http://" + p.data, ""}} {
			a := c.post(t, "", asJSON, eventOf("x"))
			if a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("got %v with the header %v", a, a.header)
			}
			if a := c.get(t, "/v1/users/ann/events"); a.status != 401 {
				t.Errorf("reading: got %v", a)
			}
		}
	})
}
