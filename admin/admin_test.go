package admin

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"sluice/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a Readiness that a test sets.
type gate struct {
	draining bool
	sinks    []SinkState
}

func (g *gate) Ready() (bool, []SinkState) { return g.draining, append([]SinkState(nil), g.sinks...) }

// start serves o on loopback until the test ends, and returns the address.
func start(t *testing.T, o Options) (string, *Server) {
	t.Helper()
	if o.Readiness == nil {
		o.Readiness = &gate{sinks: []SinkState{{Tenant: "acme", Sink: "bus", State: "ready"}}}
	}
	if o.Metrics == nil {
		reg := prometheus.NewRegistry()
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_requests_total", Help: "Requests."})
		c.Add(3)
		reg.MustRegister(c)
		o.Metrics = reg
	}
	if o.Config == nil {
		o.Config = func() Document { return config.Default().Redacted() }
	}
	o.Log = slog.New(slog.DiscardHandler)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String(), s
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; edit may be nil.
func ask(t *testing.T, method, url string, edit func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func TestPaths(t *testing.T) {
	addr, _ := start(t, Options{})
	for _, tc := range []struct {
		name, method, path string
		status             int
		contentType, body  string
	}{
		{"health says ok", "GET", "/healthz", 200, "text/plain", "ok\n"},
		{"a probe may ask with HEAD", "HEAD", "/healthz", 200, "text/plain", ""},
		{"readiness is JSON", "GET", "/readyz", 200, "application/json", `"state": "ready"`},
		{"metrics come from the registry that was handed in", "GET", "/metrics", 200, "text/plain", "sluice_requests_total 3"},
		{"the configuration is JSON", "GET", "/v1/config", 200, "application/json", `"max_body": "8MiB"`},
		{"the configuration is YAML when asked for", "GET", "/v1/config?format=yaml", 200, "application/yaml", "max_body: 8MiB"},
		{"the first page lists the others", "GET", "/", 200, "text/html", "/debug/pprof/"},
		{"profiles are listed", "GET", "/debug/pprof/", 200, "text/html", "goroutine"},
		{"a profile by name", "GET", "/debug/pprof/goroutine?debug=1", 200, "text/plain", "goroutine profile"},
		{"an unknown path is a problem", "GET", "/v1/nothing", 404, "application/problem+json", `"code": "not_found"`},
		{"a wrong method is a problem", "POST", "/v1/config", 405, "application/problem+json", `"code": "method_not_allowed"`},
		{"a wrong method on an open path too", "DELETE", "/healthz", 405, "application/problem+json", `"status": 405`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, tc.method, "http://"+addr+tc.path, nil)
			if got.status != tc.status || !strings.HasPrefix(got.header.Get("Content-Type"), tc.contentType) || !strings.Contains(got.body, tc.body) {
				t.Errorf("got %d %s\n%s", got.status, got.header.Get("Content-Type"), got.body)
			}
			if tc.status == 405 && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Error("may be cached")
			}
		})
	}
}

func TestYAMLByAcceptHeader(t *testing.T) {
	addr, _ := start(t, Options{})
	got := ask(t, "GET", "http://"+addr+"/v1/config", func(r *http.Request) { r.Header.Set("Accept", "application/yaml") })
	if got.header.Get("Content-Type") != "application/yaml" || !strings.HasPrefix(got.body, "data:\n") {
		t.Errorf("got %s\n%s", got.header.Get("Content-Type"), got.body)
	}
}

func TestToken(t *testing.T) {
	const token = "hunter2-hunter2"
	addr, _ := start(t, Options{Token: token})
	for _, tc := range []struct {
		name, path, authorization string
		status                    int
	}{
		{"health needs no token", "/healthz", "", 200},
		{"readiness needs no token", "/readyz", "", 200},
		{"metrics need it", "/metrics", "", 401},
		{"the configuration needs it", "/v1/config", "", 401},
		{"profiles need it", "/debug/pprof/cmdline", "", 401},
		{"the list of paths needs it", "/", "", 401},
		{"an unknown path does not give itself away", "/v1/nothing", "", 401},
		{"a wrong token is refused", "/metrics", "Bearer hunter3-hunter3", 401},
		{"a beginning of the token is refused", "/metrics", "Bearer hunter2", 401},
		{"an empty token is refused", "/metrics", "Bearer ", 401},
		{"another scheme is refused", "/metrics", "Basic " + token, 401},
		{"the token lets in", "/metrics", "Bearer " + token, 200},
		{"the scheme's case does not matter", "/v1/config", "bearer " + token, 200},
		{"with it an unknown path is just unknown", "/v1/nothing", "Bearer " + token, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, "GET", "http://"+addr+tc.path, func(r *http.Request) {
				if tc.authorization != "" {
					r.Header.Set("Authorization", tc.authorization)
				}
			})
			if got.status != tc.status {
				t.Errorf("got %d\n%s", got.status, got.body)
			}
			if got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
				t.Error("401 without WWW-Authenticate")
			}
			if strings.Contains(got.body, token) {
				t.Error("the answer holds the token")
			}
		})
	}
}

func TestForeignHosts(t *testing.T) {
	addr, _ := start(t, Options{})
	_, port, _ := net.SplitHostPort(addr)
	for _, tc := range []struct {
		name, host string
		status     int
	}{
		{"the address itself", addr, 200},
		{"localhost", "localhost:" + port, 200},
		{"localhost without a port", "LOCALHOST", 200},
		{"a name below localhost", "sluice.localhost:" + port, 200},
		{"IPv6 loopback", "[::1]:" + port, 200},
		{"a name that an attacker made mean 127.0.0.1", "evil.example:" + port, 403},
		{"a name that only looks local", "localhost.evil.example", 403},
		{"a name with a number in it", "127.0.0.1.nip.io", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, "GET", "http://"+addr+"/v1/config", func(r *http.Request) { r.Host = tc.host })
			if got.status != tc.status {
				t.Errorf("got %d\n%s", got.status, got.body)
			}
		})
	}
	t.Run("readiness under a foreign name is the verdict alone", func(t *testing.T) {
		got := ask(t, "GET", "http://"+addr+"/readyz", func(r *http.Request) { r.Host = "evil.example" })
		if got.status != 200 || strings.Contains(got.body, "bus") {
			t.Errorf("got %d\n%s", got.status, got.body)
		}
	})
}

func TestATokenMakesTheHostHeaderIrrelevant(t *testing.T) {
	addr, _ := start(t, Options{Token: "t"})
	got := ask(t, "GET", "http://"+addr+"/metrics", func(r *http.Request) {
		r.Host = "sluice.internal"
		r.Header.Set("Authorization", "Bearer t")
	})
	if got.status != 200 {
		t.Errorf("got %d\n%s", got.status, got.body)
	}
}

func TestReadyz(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	up := func(tenant, sink string) SinkState { return SinkState{Tenant: tenant, Sink: sink, State: "ready"} }
	down := func(tenant, sink string) SinkState {
		return SinkState{Tenant: tenant, Sink: sink, State: "open", Reason: "connection refused", Since: since}
	}
	for _, tc := range []struct {
		name   string
		gate   gate
		status int
		reason string
		tenant string // and whether it is ready, in order
	}{
		{"all up", gate{sinks: []SinkState{up("b", "x"), up("a", "x")}}, 200, "", "a+ b+"},
		{"one tenant's sink down leaves the gateway ready", gate{sinks: []SinkState{up("a", "x"), down("b", "y")}}, 200, "", "a+ b-"},
		{"a tenant needs all of its sinks", gate{sinks: []SinkState{up("a", "x"), down("a", "y")}}, 503, "no tenant has all of its sinks", "a-"},
		{"no tenant can be served", gate{sinks: []SinkState{down("a", "x"), down("b", "x")}}, 503, "no tenant has all of its sinks", "a- b-"},
		{"draining beats all", gate{draining: true, sinks: []SinkState{up("a", "x")}}, 503, "the gateway is about to stop", "a+"},
		{"nothing there yet", gate{}, 503, "the gateway is starting", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, _ := start(t, Options{Readiness: &tc.gate})
			got := ask(t, "GET", "http://"+addr+"/readyz", nil)
			var r readiness
			if err := json.Unmarshal([]byte(got.body), &r); err != nil {
				t.Fatal(err)
			}
			var tenants []string
			for _, tenant := range r.Tenants {
				sign := "-"
				if tenant.Ready {
					sign = "+"
				}
				tenants = append(tenants, tenant.Tenant+sign)
			}
			if got.status != tc.status || r.Ready != (tc.status == 200) || r.Draining != tc.gate.draining ||
				r.Reason != tc.reason || strings.Join(tenants, " ") != tc.tenant {
				t.Errorf("got %d\n%s", got.status, got.body)
			}
		})
	}
	addr, _ := start(t, Options{Readiness: &gate{sinks: []SinkState{down("a", "bus")}}})
	want := `"sink": "bus",
          "state": "open",
          "reason": "connection refused",
          "since": "2026-01-02T03:04:05Z"`
	if got := ask(t, "GET", "http://"+addr+"/readyz", nil); !strings.Contains(got.body, want) {
		t.Errorf("the reason is not said in words:\n%s", got.body)
	}
}

func TestShutdownEndsARunningProfile(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{
		Readiness: &gate{}, Metrics: prometheus.NewRegistry(),
		Config: func() Document { return config.Default().Redacted() }, Log: slog.New(slog.DiscardHandler),
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	traced := make(chan struct{})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /debug/pprof/trace?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// The first byte of the answer says that the profile is running.
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(traced); _, _ = io.Copy(io.Discard, conn) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("shutdown waited for the profile: %v", err)
	}
	<-traced
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.8.8.8": true, "::1": true, "0.0.0.0": false, "10.0.0.1": false, "::": false} {
		if got := isLoopback(&net.TCPAddr{IP: net.ParseIP(addr)}); got != want {
			t.Errorf("isLoopback(%s) = %v", addr, got)
		}
	}
}
