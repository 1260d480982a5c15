package gateway

import (
	"crypto/tls"
	"fmt"
)

// TLS says where the server's certificate is.
type TLS struct {
	CertFile string // PEM: the certificate, then its intermediates
	KeyFile  string // PEM: its key
}

// ReloadTLS reads certificate and key again; new connections get them. On an
// error the ones in force stay.
func (s *Server) ReloadTLS() error {
	if s.opts.TLS == nil {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(s.opts.TLS.CertFile, s.opts.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("gateway: certificate %s with key %s: %w", s.opts.TLS.CertFile, s.opts.TLS.KeyFile, err)
	}
	s.cert.Store(&cert)
	return nil
}

func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // all that fasthttp speaks
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.cert.Load(), nil
		},
	}
}
