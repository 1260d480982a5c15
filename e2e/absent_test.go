package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// onTable is a configuration of one tenant, acme, on a table that is not made,
// with a short wait between two looks at it.
const onTable = ports + `
sinks:
  store:
    kind: cassandra
    hosts: ["HOST"]
    port: PORT
    keyspace: KEYSPACE
    replication: {class: SimpleStrategy, factor: 1}
    circuit: {probe_max: 1s}
    auth: {user: "USER", password: "PASSWORD"}
    create_schema: CREATE
tenants: {acme: {keys: [KEY(acme)]}}
`

// onTopic is the same on a topic.
const onTopic = ports + `
sinks:
  bus:
    kind: kafka
    brokers: ["BROKER"]
    topic: TOPIC
    partitions: 2
    replication: 1
    create_topics: CREATE
    circuit: {probe_max: 1s}
    sasl: {mechanism: "MECHANISM", user: "USER", password: "PASSWORD"}
tenants: {acme: {keys: [KEY(acme)]}}
`

// refusesAtOnce checks that an event is answered 503 without waiting for
// anything.
func refusesAtOnce(t *testing.T, p *process) {
	t.Helper()
	a := p.as("acme").post(t, "", asJSON, `{"id":"1","type":"t","user":"ann"}`)
	if a.status != 503 || a.Code != "sink_unavailable" || a.retryAfter() < 1 || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %v with the header %v", a, a.header)
	}
	if a.took > time.Second {
		t.Errorf("the refusal took %v", a.took)
	}
	if res, err := http.Get("http://" + p.admin + "/healthz"); err != nil || res.StatusCode != 200 {
		t.Errorf("/healthz: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
}

// recovers checks that the process becomes ready by itself and takes an event.
func recovers(t *testing.T, p *process) {
	t.Helper()
	p.awaitReady()
	p.as("acme").store(t, `{"id":"1","type":"t","user":"ann","ts":1767323045678}`)
}

func TestASinkThatIsAwayAtTheStartIsFoundWhenItComes(t *testing.T) {
	t.Parallel()
	t.Run("Kafka", func(t *testing.T) {
		t.Parallel()
		proxy, topic := newKafkaProxy(t), unique()
		p := serve(t, configure(t, onTopic, "BROKER", proxy.addr, "TOPIC", topic, "CREATE", "true", `sasl: {mechanism: "MECHANISM", user: "USER", password: "PASSWORD"}`, ""))
		p.awaitReason("acme", "bus", proxy.addr, "not reachable", "connection refused")
		refusesAtOnce(t, p)
		proxy.open()
		recovers(t, p)
		proxy.cut()
		proxy.open()
		eventually(t, "events are stored again after every connection was cut", func() error {
			a, err := p.as("acme").send("", asJSON, `{"id":"2","type":"t","user":"ann"}`)
			if err == nil && a.status != 200 {
				err = fmt.Errorf("the answer is %v", a)
			}
			return err
		})
		if found := byID(readKafka(t, topic)); len(found) != 2 || len(found["1"]) != 1 || len(found["2"]) != 1 {
			t.Errorf("in the topic is %v", found)
		}
	})
	t.Run("Cassandra", func(t *testing.T) {
		t.Parallel()
		proxy, keyspace := newCassandraProxy(t), newKeyspace(t)
		p := serve(t, configure(t, onTable, "HOST", proxy.host(), "PORT", proxy.port(), "KEYSPACE", keyspace, "CREATE", "true", `auth: {user: "USER", password: "PASSWORD"}`, ""))
		p.awaitReason("acme", "store", proxy.addr, "connection refused")
		refusesAtOnce(t, p)
		proxy.open()
		recovers(t, p)
		proxy.cut()
		proxy.open()
		eventually(t, "events are stored again after every connection was cut", func() error {
			a, err := p.as("acme").send("", asJSON, `{"id":"2","type":"t","user":"ann","ts":1767323045679}`)
			if err == nil && a.status != 200 {
				err = fmt.Errorf("the answer is %v", a)
			}
			return err
		})
		if rows := readCassandra(t, keyspace); len(rows) != 2 {
			t.Errorf("in the table is %+v", rows)
		}
	})
}

func TestAMistakeBehindASinkIsSaidWithItsCure(t *testing.T) {
	t.Parallel()
	const secret = "not-the-right-one"
	discreet := func(t *testing.T, p *process) {
		t.Helper()
		r, err := p.probe()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.body, secret) || strings.Contains(p.log.String(), secret) {
			t.Error("the password is told")
		}
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-512"} {
		t.Run("a wrong password for Kafka, "+mechanism, func(t *testing.T) {
			t.Parallel()
			kafkaAddr(t)
			sasl := server(t, "Kafka", "SLUICE_TEST_KAFKA_SASL", "127.0.0.1:19093", "")
			p := serve(t, configure(t, onTopic, "BROKER", sasl, "TOPIC", unique(), "CREATE", "true",
				"MECHANISM", mechanism, "USER", "sluice", "PASSWORD", secret))
			p.awaitReason("acme", "bus", "sasl", mechanism)
			refusesAtOnce(t, p)
			discreet(t, p)
		})
	}
	t.Run("a wrong password for Cassandra", func(t *testing.T) {
		t.Parallel()
		host := server(t, "Cassandra that wants a login", "SLUICE_TEST_CASSANDRA_AUTH", "127.0.0.12", ":9042")
		p := serve(t, configure(t, onTable, "HOST", host, "PORT", "9042", "KEYSPACE", "sluice", "CREATE", "false",
			"USER", "cassandra", "PASSWORD", secret))
		p.awaitReason("acme", "store", "auth", "password")
		refusesAtOnce(t, p)
		discreet(t, p)
	})
	t.Run("a login for a Cassandra that wants one and gets none", func(t *testing.T) {
		t.Parallel()
		host := server(t, "Cassandra that wants a login", "SLUICE_TEST_CASSANDRA_AUTH", "127.0.0.12", ":9042")
		p := serve(t, configure(t, onTable, "HOST", host, "PORT", "9042", "KEYSPACE", "sluice", "CREATE", "false",
			`auth: {user: "USER", password: "PASSWORD"}`, ""))
		p.awaitReason("acme", "store", "auth")
		refusesAtOnce(t, p)
	})
	t.Run("a topic that is not there, and is made later", func(t *testing.T) {
		t.Parallel()
		topic := unique()
		settings := []string{"BROKER", kafkaAddr(t), "TOPIC", topic, `sasl: {mechanism: "MECHANISM", user: "USER", password: "PASSWORD"}`, ""}
		p := serve(t, configure(t, onTopic, append([]string{"CREATE", "false"}, settings...)...))
		p.awaitReason("acme", "bus", topic, "does not exist", "create_topics")
		refusesAtOnce(t, p)
		serveReady(t, configure(t, onTopic, append([]string{"CREATE", "true"}, settings...)...)).stop()
		recovers(t, p)
	})
	t.Run("a keyspace that is not there, and is made by sluice schema apply", func(t *testing.T) {
		t.Parallel()
		keyspace := newKeyspace(t)
		config := configure(t, onTable, "HOST", cassandraAddr(t), "PORT", "9042", "KEYSPACE", keyspace, "CREATE", "false",
			`auth: {user: "USER", password: "PASSWORD"}`, "")
		p := serve(t, config)
		p.awaitReason("acme", "store", "keyspace", keyspace, "sluice schema apply", "create_schema")
		refusesAtOnce(t, p)
		if r := sluice(t, nil, "schema", "apply", "-c", config); r.code != 0 {
			t.Fatalf("sluice schema apply: %+v", r)
		}
		recovers(t, p)
	})
	t.Run("a table of another layout", func(t *testing.T) {
		t.Parallel()
		keyspace := newKeyspace(t)
		settings := []string{"HOST", cassandraAddr(t), "PORT", "9042", "KEYSPACE", keyspace, `auth: {user: "USER", password: "PASSWORD"}`}
		config := configure(t, onTable, append(slices.Clone(settings), "", "CREATE", "false")...)
		if r := sluice(t, nil, "schema", "apply", "-c", config); r.code != 0 {
			t.Fatalf("sluice schema apply: %+v", r)
		}
		other := configure(t, onTable, append(settings, "partition_by: user", "CREATE", "true")...)
		p := serve(t, other)
		p.awaitReason("acme", "store", "events")
		refusesAtOnce(t, p)
		if r := sluice(t, nil, "schema", "apply", "-c", other); r.code != 1 || !strings.Contains(r.err, "events") {
			t.Errorf("sluice schema apply onto another layout: %+v", r)
		}
	})
}
