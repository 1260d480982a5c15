// Package verify reads back from a sink what a run of the load generator sent
// there, and says what of it is lost, there more than once, or out of order. It
// uses Kafka's and Cassandra's drivers directly and sluice's HTTP interface as any
// client would: what is judged must not be the judge.
package verify

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The sinks that can be read back.
const (
	Kafka     = "kafka"
	Cassandra = "cassandra"
	Local     = "local" // sluice's own store, read through its data port
)

// Options says where to read. Parse makes them of an address; the rest is for
// whoever starts the run to fill in.
type Options struct {
	Sink     string
	Hosts    []string // Kafka: the brokers. Cassandra: nodes. host:port each
	User     string   // Kafka: for SASL PLAIN. Cassandra: of its own accounts. Empty: none
	Password string
	TLS      bool
	CAFile   string // whose certificates count with TLS; empty: the system's

	Topic    string // Kafka; {tenant} stands for each of Tenants
	Keyspace string // Cassandra
	Table    string

	URL     string   // Local: the gateway's
	Tenants []Tenant // Local: all that were sent to, with their keys. Kafka: for {tenant}

	// Since is before the time of every event of the run, and saves reading what is
	// older; zero: the store is read from its beginning. Only Local uses it.
	Since time.Time
	// Start is what Mark returned before the run: where reading begins. nil: at the
	// beginning. Only Kafka uses it.
	Start Offsets
	// Progress, when not nil, is called now and then, by one goroutine at a time.
	Progress func(Progress)
}

// Tenant is a tenant with its key.
type Tenant struct{ Name, Key string }

// Offsets are positions in Kafka, by topic and partition.
type Offsets map[string]map[int32]int64

// Progress is how far reading is.
type Progress struct {
	Done, Of uint64
	What     string // records, parts of the table, users
}

const forms = "want kafka://HOST:PORT[,HOST:PORT…]/TOPIC, cassandra://HOST[:PORT][,…]/KEYSPACE.TABLE or local"

// Parse takes the address of a sink apart:
//
//	kafka://HOST:PORT[,HOST:PORT…]/TOPIC
//	cassandra://HOST[:PORT][,HOST[:PORT]…]/KEYSPACE.TABLE
//	local
//
// The first two may have USER:PASSWORD@ before the hosts and ?tls=true&ca=FILE
// behind. Environment variables, as in ${PASSWORD}, are expanded in the password
// alone, so that it need not be on a command line.
func Parse(address string) (Options, error) {
	if address == Local {
		return Options{Sink: Local}, nil
	}
	// url.Parse takes the commas between hosts for part of a port, and no ${…}.
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme != Kafka && scheme != Cassandra {
		return Options{}, fmt.Errorf("cannot read back from %q: %s", address, forms)
	}
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@') + 1
	account, hosts := authority[:at], authority[at:]
	path, query, _ := strings.Cut(path, "?")
	o := Options{Sink: scheme}
	err := errors.Join(o.parseHosts(hosts), o.parseAccount(account), o.parseParams(query), o.parsePath(path))
	if err != nil {
		return Options{}, fmt.Errorf("cannot read back from %s://%s/%s: %w", scheme, hosts, path, err)
	}
	return o, nil
}

func (o *Options) parseHosts(list string) error {
	port := map[string]string{Kafka: "9092", Cassandra: "9042"}[o.Sink]
	for host := range strings.SplitSeq(list, ",") {
		if host == "" {
			return errors.New("a host is empty; " + forms)
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			name := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
			if _, err := netip.ParseAddr(name); err != nil && strings.ContainsAny(name, ":[]") {
				return fmt.Errorf("%q is no host: want HOST or HOST:PORT", host)
			}
			host = net.JoinHostPort(name, port)
		}
		o.Hosts = append(o.Hosts, host)
	}
	return nil
}

// parseAccount takes what stands before the hosts, with the @ at its end.
func (o *Options) parseAccount(account string) error {
	if account == "" {
		return nil
	}
	user, password, _ := strings.Cut(strings.TrimSuffix(account, "@"), ":")
	user, err := url.PathUnescape(user)
	if err == nil {
		password, err = url.PathUnescape(password)
	}
	if err != nil || user == "" || password == "" {
		return errors.New("a user needs a password: want USER:PASSWORD@ before the hosts, both percent-encoded")
	}
	o.User, o.Password = user, os.ExpandEnv(password)
	if o.Password == "" {
		return errors.New("the password is empty: is its environment variable set?")
	}
	return nil
}

func (o *Options) parseParams(query string) error {
	params, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what stands behind ? is not understood: there are tls=true and ca=FILE")
	}
	for name, values := range params {
		switch value := values[0]; {
		case name == "tls" && (value == "true" || value == "false"):
			o.TLS = value == "true"
		case name == "tls":
			return fmt.Errorf("tls is %q: want true or false", value)
		case name == "ca":
			o.CAFile = value
		default:
			return fmt.Errorf("it has a parameter %q: there are tls=true and ca=FILE", name)
		}
	}
	if o.CAFile != "" && !o.TLS {
		return errors.New("ca is for tls=true")
	}
	return nil
}

var (
	topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	tableName = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)
)

func (o *Options) parsePath(path string) error {
	if o.Sink == Kafka {
		if !topicName.MatchString(strings.ReplaceAll(path, "{tenant}", "t")) {
			return fmt.Errorf("%q is no name of a topic: %s", path, forms)
		}
		o.Topic = path
		return nil
	}
	keyspace, table, _ := strings.Cut(path, ".")
	if !tableName.MatchString(keyspace) || !tableName.MatchString(table) {
		return fmt.Errorf("%q is no table: %s", path, forms)
	}
	o.Keyspace, o.Table = keyspace, table
	return nil
}

// topics are the topics that a run writes to.
func (o *Options) topics() ([]string, error) {
	if !strings.Contains(o.Topic, "{tenant}") {
		return []string{o.Topic}, nil
	}
	var all []string
	for _, t := range o.Tenants {
		all = append(all, strings.ReplaceAll(o.Topic, "{tenant}", t.Name))
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil, fmt.Errorf("verify: the topic %s has a name for each tenant, and no tenant is given", o.Topic)
	}
	return all, nil
}
