package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"sluice/bench/ledger"
	"sluice/bench/result"
)

// Mark finds out, before a run, whether what it sends can be read back, and where
// reading will have to begin: set Options.Start to what it returns. A topic that
// is not there yet is read from its beginning.
func Mark(ctx context.Context, o Options) (Offsets, error) {
	switch o.Sink {
	case Kafka:
		return markKafka(ctx, o)
	case Cassandra:
		return nil, markCassandra(ctx, o)
	case Local:
		return nil, markLocal(ctx, o)
	}
	return nil, unknown(o)
}

// Run reads back what the run of l sent and says what of it is lost, doubled or out
// of order. The run is over, and what it was promised is in the sink: a sender who
// was told less than "stored" has to give the gateway the time to store it.
//
// Order is judged in Kafka, where it is that of a partition's offsets: an event is
// out of order behind a later one of the same user and connection, if both were
// accepted. Cassandra and the local store sort by time and id, which says nothing
// about who came first.
func Run(ctx context.Context, o Options, l *ledger.Ledger) (*result.Verified, error) {
	read := map[string]func(context.Context, Options, *judge) error{Kafka: readKafka, Cassandra: readCassandra, Local: readLocal}[o.Sink]
	if read == nil {
		return nil, unknown(o)
	}
	j := newJudge(l, o.Sink, o.Sink == Kafka)
	if err := read(ctx, o, j); err != nil {
		return nil, err
	}
	return j.verdict(), nil
}

func unknown(o Options) error {
	return fmt.Errorf("verify: nothing is known of a sink %q: there are %s, %s and %s", o.Sink, Kafka, Cassandra, Local)
}

func (o *Options) progress(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}

// tlsConfig returns nil without TLS.
func (o *Options) tlsConfig() (*tls.Config, error) {
	if !o.TLS {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("verify: ca: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("verify: ca: %s holds no certificate", o.CAFile)
	}
	return cfg, nil
}
