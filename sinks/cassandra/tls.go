package cassandra

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS is how connections are encrypted.
type TLS struct {
	Enabled bool
	CAFile  string // PEM of who signs the nodes' certificates; empty: the system's
	// CertFile and KeyFile are the client's own certificate and key in PEM, both or
	// neither.
	CertFile, KeyFile string
	// ServerName is what the nodes' certificates are made out to. Empty: each to
	// the address under which it is contacted, which for nodes that were found
	// through others is an IP address.
	ServerName         string
	InsecureSkipVerify bool // accept any certificate: the password can then be had by anyone in between
}

// config returns nil when TLS is off.
func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		if t != (TLS{}) {
			return nil, errors.New("cassandra: tls: settings are given, but enabled is not true")
		}
		return nil, nil
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify,
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cassandra: tls: ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cassandra: tls: ca_file: %s holds no certificate in PEM", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("cassandra: tls: cert_file and key_file belong together")
	}
	if t.CertFile != "" {
		own, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cassandra: tls: cert_file and key_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{own}
	}
	return cfg, nil
}
