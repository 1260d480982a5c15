package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/event"
)

func TestDraining(t *testing.T) {
	p := start(t, func(p *port, _ *Options) {
		p.intake.hold = true
		p.store.read = func(context.Context, event.Query) (event.Page, error) { return event.Page{}, nil }
	})
	under, idle := p.dial(), p.dial()
	under.send(request("POST /v1/events", "", oneEvent))
	eventually(t, "a request is under way", func() bool { return p.intake.submits.Load() == 1 })
	idle.send(request("GET /v1/users/u/events", "", ""))
	idle.receive().want(t, 200, "")

	p.srv.StartDraining()
	idle.send(request("POST /v1/events", "", oneEvent))
	a := idle.receive()
	a.want(t, 503, event.CodeDraining)
	if !a.Close || !idle.closed() {
		t.Error("a refused client may go on with the connection")
	}
	p.do("GET /v1/users/u/events", "", "").want(t, 200, "")
	p.intake.settleKept()
	under.receive().want(t, 200, "")
}

func TestShutdown(t *testing.T) {
	t.Run("waits for what is under way, and not for who is silent", func(t *testing.T) {
		p := start(t, func(p *port, _ *Options) { p.intake.hold = true })
		silent, idle, under := p.dial(), p.dial(), p.dial()
		idle.send(request("POST /nowhere", "", ""))
		idle.receive().want(t, 404, "")
		under.send(request("POST /v1/events", "", oneEvent))
		eventually(t, "a request is under way", func() bool { return p.intake.submits.Load() == 1 })

		done := make(chan error, 1)
		go func() { done <- p.srv.Shutdown(context.Background()) }()
		if !silent.closed() || !idle.closed() {
			t.Error("connections without a request are still open")
		}
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		p.intake.settleKept()
		a := under.receive()
		a.want(t, 200, "")
		if !a.Close {
			t.Error("the answer does not say that the connection ends")
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := net.DialTimeout("tcp", p.addr, time.Second); err == nil {
			t.Error("it still listens")
		}
	})
	t.Run("cuts off what does not end in time", func(t *testing.T) {
		p := start(t, func(p *port, o *Options) { p.intake.hold, o.RequestTimeout = true, time.Hour })
		under, slow := p.dial(), p.dial()
		under.send(request("POST /v1/events", "", oneEvent))
		slow.send(request("POST /v1/events", "Content-Length: 1000000", strings.Repeat("x", 20_000)))
		eventually(t, "two requests are under way", func() bool { return p.intake.submits.Load() == 1 && p.intake.used.Load() > 1000 })
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := p.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		eventually(t, "who waits for an outcome is told that it is unknown", func() bool {
			seen := p.observed()
			return len(seen) > 0 && seen[0].status == 503
		})
		if a, err := under.tryReceive(); err == nil { // it had a tenth of a second to leave
			a.want(t, 503, event.CodeOutcomeUnknown)
		}
		if !under.closed() || !slow.closed() {
			t.Error("a connection is still open")
		}
	})
	t.Run("before Serve", func(t *testing.T) {
		srv, err := New(Options{Limits: testLimits}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Serve(ln); err == nil {
			t.Error("it served after its shutdown")
		}
		if _, err := ln.Accept(); err == nil {
			t.Error("the listener is still open")
		}
	})
}

func TestReplace(t *testing.T) {
	p := start(t, nil)
	c := p.dial()
	ask := func(status int) {
		t.Helper()
		c.send(request("POST /v1/events", "", oneEvent))
		c.receive().want(t, status, "")
	}
	ask(200)
	tenants := p.tenants()
	tenants[0].Keys = [][32]byte{sha256.Sum256([]byte("a new key"))}
	if err := p.srv.Replace(testLimits, tenants); err != nil {
		t.Fatal(err)
	}
	ask(401)
	for _, tc := range []struct {
		name    string
		limits  Limits
		tenants []Tenant
	}{
		{"a limit of zero", Limits{MaxBody: 1, MaxEvent: 1, MaxEvents: 1}, p.tenants()},
		{"a key of two tenants", testLimits, append(p.tenants(), Tenant{Name: "third", Keys: p.tenants()[0].Keys, Intake: p.intake, Users: p.store})},
		{"a tenant without a pipeline", testLimits, []Tenant{{Name: "x"}}},
		{"a default weaker than the weakest", testLimits, []Tenant{{Name: "x", Intake: p.intake, Users: p.store, DefaultAck: event.AckReceived, WeakestAck: event.AckStored}}},
	} {
		if err := p.srv.Replace(tc.limits, tc.tenants); err == nil {
			t.Errorf("%s was taken", tc.name)
		}
	}
	ask(401) // nothing changed
	small := testLimits
	small.MaxBody = 10
	if err := p.srv.Replace(small, p.tenants()); err != nil {
		t.Fatal(err)
	}
	ask(413)
}

func TestTooManyConnections(t *testing.T) {
	p := start(t, func(_ *port, o *Options) { o.MaxConns = 3 })
	var held []*client
	for range 3 {
		c := p.dial()
		c.send(request("POST /v1/events", "", oneEvent))
		c.receive().want(t, 200, "")
		held = append(held, c)
	}
	for range 5 {
		c := p.dial()
		c.send(request("POST /v1/events", "", oneEvent))
		a := c.receive()
		a.want(t, 503, CodeOverloaded)
		if !a.Close || !strings.Contains(string(a.body), `"value":3`) {
			t.Errorf("%s, closes %v", a.body, a.Close)
		}
	}
	if last := p.observed()[len(p.observed())-1]; last.status != 503 {
		t.Errorf("observed %+v", last)
	}
	_ = held[0].c.Close()
	eventually(t, "there is room again", func() bool {
		c := p.dial()
		c.send(request("POST /v1/events", "", oneEvent))
		a, err := c.tryReceive()
		return err == nil && a.StatusCode == 200
	})
}

// TestNoFileDescriptors: fasthttp ends Serve at the first EMFILE.
func TestNoFileDescriptors(t *testing.T) {
	intake, store := &fakeIntake{}, &fakeStore{}
	p := &port{t: t, intake: intake, store: store, log: &syncBuffer{}}
	srv, err := New(Options{Limits: testLimits, Log: slog.New(slog.NewTextHandler(p.log, nil))}, p.tenants())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	poor := &poorListener{Listener: ln}
	poor.fail.Store(3)
	p.srv, p.addr = srv, ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(poor) }()
	p.do("POST /v1/events", "", oneEvent).want(t, 200, "")
	if !strings.Contains(p.log.String(), "too many open files") {
		t.Errorf("the log does not say so: %s", p.log.String())
	}
	// And while it waits for descriptors it can be stopped.
	poor.fail.Store(1 << 30)
	p.dial()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

type poorListener struct {
	net.Listener
	fail atomic.Int64
}

func (l *poorListener) Accept() (net.Conn, error) {
	if l.fail.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestTLS(t *testing.T) {
	files := certificate(t)
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(files.CertFile)
	pool.AppendCertsFromPEM(pem)
	p := start(t, func(p *port, o *Options) {
		o.TLS, p.tls = files, &tls.Config{RootCAs: pool, ServerName: "sluice.test"}
		o.HeaderTimeout = 2 * time.Second
	})
	p.do("POST /v1/events", "", oneEvent).want(t, 200, "")
	p.do("POST /v1/events", "", strings.Repeat("x", 9<<20)).want(t, 413, CodeBodyTooLarge)
	slow := p.dial()
	slow.send("POST /v1/events HTTP/1.1\r\n")
	slow.receive().want(t, 408, CodeClientTooSlow)

	old := &tls.Config{RootCAs: pool, ServerName: "sluice.test", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	if c, err := tls.Dial("tcp", p.addr, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if err := p.srv.ReloadTLS(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(files.KeyFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.srv.ReloadTLS(); err == nil || !strings.Contains(err.Error(), files.KeyFile) {
		t.Errorf("a broken key reloads: %v", err)
	}
	p.do("POST /v1/events", "", oneEvent).want(t, 200, "")
	if _, err := New(Options{Limits: testLimits, TLS: files}, nil); err == nil {
		t.Error("New took a broken key")
	}
	// Somebody who opens a connection and never shakes hands.
	raw, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(raw); err != nil {
		t.Errorf("a silent connection: %v", err)
	}
}

func certificate(t *testing.T) *TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sluice.test"}, DNSNames: []string{"sluice.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := &TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	for file, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: cert}, files.KeyFile: {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
