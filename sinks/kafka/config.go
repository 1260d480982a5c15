package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Config is where a Cluster is and how to write to it. The zero value of a
// field is its default; Brokers and Topic have none.
type Config struct {
	Brokers []string // host:port of at least one broker; the others are learnt from it
	// Topic is the topic, or one per tenant where it contains "{tenant}".
	Topic       string
	Compression string // none, gzip, snappy, lz4 or zstd; default none

	// CreateTopics makes a missing topic with Partitions and Replication. A
	// broker's own auto-creation is never asked for.
	CreateTopics bool
	Partitions   int // default 6; also the number of lanes until the topic's is known
	Replication  int // default: the broker's default.replication.factor

	// Timeout bounds one request: how long the broker may wait for its replicas,
	// and, with a second on top, how long the connection waits for the broker
	// before it is given up. Default 10 s. A Write with a shorter ctx returns
	// earlier, and its retry goes on waiting for the same request.
	Timeout time.Duration

	// MaxRecordBytes is the largest record, in bytes of key, value and headers
	// before compression; an event above it fails for good. Default 1,000,000:
	// what fits a broker with the default message.max.bytes.
	MaxRecordBytes int

	ClientID string // how the brokers' logs and quotas name us; default "sluice"
	TLS      TLS
	SASL     SASL

	// dial opens connections; nil is the network. Tests put faults here.
	dial dialFunc
}

// TLS is how to encrypt the connections.
type TLS struct {
	Enabled    bool
	CAFile     string // PEM; default: the system's authorities
	CertFile   string // PEM of our own certificate, where brokers ask for one
	KeyFile    string // PEM of its key
	ServerName string // default: the host of each broker

	// InsecureSkipVerify accepts any certificate: whoever is on the path can then
	// read and change everything.
	InsecureSkipVerify bool
}

// SASL is who we are to the brokers. An empty Mechanism is nobody.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

const (
	defaultPartitions     = 6
	defaultTimeout        = 10 * time.Second
	defaultMaxRecordBytes = 1_000_000
	maxTopicLength        = 249 // Kafka's own limit
	tenantPlaceholder     = "{tenant}"
)

var codecs = map[string]sarama.CompressionCodec{
	"":       sarama.CompressionNone,
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	if c.Replication == 0 {
		c.Replication = -1 // the broker's own default
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = defaultMaxRecordBytes
	}
	if c.ClientID == "" {
		c.ClientID = "sluice"
	}
	if c.dial == nil {
		c.dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	return c
}

// validate returns every mistake in c, which has its defaults, at once.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kafka: "+format, args...)) }

	if len(c.Brokers) == 0 {
		wrong(`brokers: name at least one, such as "127.0.0.1:9092"`)
	}
	for _, b := range c.Brokers {
		if err := checkAddress(b); err != nil {
			wrong("brokers: %q is not host:port: %v", b, err)
		}
	}
	if err := checkTopic(strings.ReplaceAll(c.Topic, tenantPlaceholder, "t")); err != nil {
		wrong("topic: %v", err)
	}
	if _, ok := codecs[c.Compression]; !ok {
		wrong("compression: %q is none of none, gzip, snappy, lz4, zstd", c.Compression)
	}
	if c.Partitions < 0 || c.Partitions > 1<<20 {
		wrong("partitions: %d is not between 1 and %d", c.Partitions, 1<<20)
	}
	if c.Replication < -1 || c.Replication > 1<<10 {
		wrong("replication: %d is not between 1 and %d", c.Replication, 1<<10)
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Hour {
		wrong("timeout: %v is not between 1ms and 1h", c.Timeout)
	}
	if c.MaxRecordBytes < 0 || c.MaxRecordBytes > 64<<20 {
		wrong("max record bytes: %d is not between 1 and %d", c.MaxRecordBytes, 64<<20)
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.User != "" || c.SASL.Password != "" {
			wrong("sasl: user or password without a mechanism; say PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
	case sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512:
		if c.SASL.User == "" || c.SASL.Password == "" {
			wrong("sasl: %s wants user and password", c.SASL.Mechanism)
		}
	default:
		wrong("sasl: mechanism %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", c.SASL.Mechanism)
	}
	return errors.Join(errs...)
}

func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return errors.New("want a host and a port from 1 to 65535")
	}
	return nil
}

// checkTopic reports why Kafka would refuse the name, nil if it would not.
func checkTopic(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case name == "." || name == "..":
		return fmt.Errorf("%q is not a topic name", name)
	case len(name) > maxTopicLength:
		return fmt.Errorf("%q is longer than %d characters", name, maxTopicLength)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return fmt.Errorf("%q holds %q; letters, digits, '.', '_', '-' and %s may be in a topic",
				name, r, tenantPlaceholder)
		}
	}
	return nil
}

// tlsConfig reads the files of t. Nil where TLS is off.
func (t TLS) tlsConfig() (*tls.Config, error) {
	if !t.Enabled {
		if t != (TLS{}) {
			return nil, errors.New("kafka: tls: settings are given, but it is not enabled")
		}
		return nil, nil
	}
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // the operator's choice, documented as unsafe
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: tls: ca file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka: tls: ca file %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("kafka: tls: cert file and key file go together; one of them is missing")
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: tls: cert file %s with key file %s: %w", t.CertFile, t.KeyFile, err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}
