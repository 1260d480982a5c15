package verify

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Setenv("VERIFY_TEST_PASSWORD", "p@ss/word")
	for _, tc := range []struct {
		name, address string
		want          Options
	}{
		{"the local store has no address", "local", Options{Sink: Local}},
		{"a broker and a topic", "kafka://127.0.0.1:9092/raw_events", Options{Sink: Kafka, Hosts: []string{"127.0.0.1:9092"}, Topic: "raw_events"}},
		{"several brokers, ports as usual", "kafka://a,b:19092,[::1],fe80::2/events.{tenant}", Options{Sink: Kafka, Hosts: []string{"a:9092", "b:19092", "[::1]:9092", "[fe80::2]:9092"}, Topic: "events.{tenant}"}},
		{"a node and a table", "cassandra://127.0.0.11/sluice.events", Options{Sink: Cassandra, Hosts: []string{"127.0.0.11:9042"}, Keyspace: "sluice", Table: "events"}},
		{"an account, its password from the environment, and TLS", "cassandra://ann:${VERIFY_TEST_PASSWORD}@c1:1,c2/k.t?tls=true&ca=/etc/ca.pem",
			Options{Sink: Cassandra, Hosts: []string{"c1:1", "c2:9042"}, User: "ann", Password: "p@ss/word", TLS: true, CAFile: "/etc/ca.pem", Keyspace: "k", Table: "t"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(tc.address)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseSaysWhatWouldBeRight(t *testing.T) {
	for _, tc := range []struct{ name, address, want string }{
		{"nothing", "", forms},
		{"a sink that is not known", "redis://h/x", forms},
		{"no slashes", "kafka:h:9092/t", forms},
		{"no host", "kafka:///t", "a host is empty"},
		{"an empty host among others", "kafka://a,,b/t", "a host is empty"},
		{"no topic", "kafka://h", `"" is no name of a topic`},
		{"a name no topic can have", "kafka://h/a/b", `"a/b" is no name of a topic`},
		{"a table without a keyspace", "cassandra://h/events", `"events" is no table`},
		{"a table that is CQL", "cassandra://h/k.t;drop", "is no table"},
		{"a user without a password", "kafka://ann@h/t", "a user needs a password"},
		{"a parameter that is not known", "kafka://h/t?acks=all", `a parameter "acks"`},
		{"a TLS that is neither", "kafka://h/t?tls=yes", "want true or false"},
		{"a CA without TLS", "kafka://h/t?ca=x", "ca is for tls=true"},
		{"a host with two ports", "kafka://a:1:2/t", "is no host"},
		{"an environment variable that is not set", "kafka://ann:${VERIFY_TEST_UNSET}@h/t", "is its environment variable set?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.address)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := Parse("kafka://ann:hunter2@h/t?x=1"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestTopics(t *testing.T) {
	o := Options{Sink: Kafka, Topic: "events.{tenant}", Tenants: []Tenant{{Name: "b"}, {Name: "a"}, {Name: "b"}}}
	if got, err := o.topics(); err != nil || !reflect.DeepEqual(got, []string{"events.a", "events.b"}) {
		t.Errorf("%q, %v", got, err)
	}
	o.Tenants = nil
	if _, err := o.topics(); err == nil || !strings.Contains(err.Error(), "no tenant is given") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownSinks(t *testing.T) {
	if _, err := Run(context.Background(), Options{Sink: "redis"}, script("5eed")); err == nil || !strings.Contains(err.Error(), "there are kafka, cassandra and local") {
		t.Errorf("Run: %v", err)
	}
	if _, err := Mark(context.Background(), Options{}); err == nil {
		t.Error("Mark takes a sink without a name")
	}
}
