package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// loopbackKey is the context key under which a connection knows whether the
// port listens on loopback only.
type loopbackKey struct{}

// guard lets through who has the token. Without a token, what listens on
// loopback trusts everybody on this machine, their browsers included: there it
// refuses requests under another host's name, with which a web page whose name
// suddenly means 127.0.0.1 (DNS rebinding) would read along.
type guard struct {
	token string
	next  http.Handler
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case g.token != "" && !authorized(r, g.token):
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice admin"`)
		problem(w, http.StatusUnauthorized, "unauthorized", "this path needs Authorization: Bearer and the token of admin.token_file")
	case g.token == "" && rebound(r):
		problem(w, http.StatusForbidden, "foreign_host", "the Host header names another machine; use localhost or 127.0.0.1")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// authorized reports whether the request carries the token. It takes the same
// time whatever is wrong with it.
func authorized(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// rebound reports whether a request that reached a loopback port was sent to
// another name.
func rebound(r *http.Request) bool {
	if loopback, _ := r.Context().Value(loopbackKey{}).(bool); !loopback {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	// A page cannot make an address mean another one. No host at all is HTTP/1.0,
	// which no browser speaks.
	return host != "" && net.ParseIP(host) == nil
}

// isLoopback reports whether only this machine reaches a listener at addr.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
