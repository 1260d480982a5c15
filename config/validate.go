package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A checker finds what the types alone allow and is wrong all the same.
type checker struct {
	c      *Config
	report *report
	places map[string]mark
	end    mark // where what is missing is reported
}

func (k *checker) config() {
	k.data()
	k.admin()
	k.between("drain_timeout", k.c.DrainTimeout, 0, 7*Duration(day))
	if k.c.Dir == "" {
		k.wrong("dir", "want the folder where data is kept")
	}
	for _, name := range slices.Sorted(maps.Keys(k.c.Sinks)) {
		k.sink("sinks."+name, k.c.Sinks[name])
	}
	k.tenants()
	k.unused()
}

// wrong reports a mistake at path, or where the file does not set it, at what
// is nearest above. What failed before is not said again.
func (k *checker) wrong(path, format string, args ...any) {
	if k.failedAt(path) {
		return
	}
	k.report.add(path, k.place(path), fmt.Sprintf(format, args...))
}

func (k *checker) warn(path, format string, args ...any) {
	k.report.warnings = append(k.report.warnings, finding{path, k.place(path), fmt.Sprintf(format, args...)})
}

func (k *checker) failedAt(path string) bool {
	for ; path != ""; path = parent(path) {
		if k.report.failed[path] {
			return true
		}
	}
	return false
}

func (k *checker) place(path string) mark {
	for ; path != ""; path = parent(path) {
		if at, ok := k.places[path]; ok {
			return at
		}
	}
	return k.end
}

func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// between reports a duration outside of low to high.
func (k *checker) between(path string, d, low, high Duration) {
	if d < low || d > high {
		k.wrong(path, "want %s to %s, got %s", low, high, d)
	}
}

// within reports a number outside of low to high.
func (k *checker) within(path string, n, low, high int) {
	if n < low || n > high {
		k.wrong(path, "want %d to %d, got %d", low, high, n)
	}
}

// sized reports a size outside of low to high.
func (k *checker) sized(path string, s, low, high Size) {
	if s < low || s > high {
		k.wrong(path, "want %s to %s, got %s", low, high, s)
	}
}

// ordered reports two durations of which the first must not be the longer.
func (k *checker) ordered(path, low, high string, a, b Duration) {
	if a <= b || k.failedAt(join(path, low)) || k.failedAt(join(path, high)) {
		return
	}
	where := join(path, low)
	if _, set := k.places[where]; !set {
		where = join(path, high)
	}
	k.wrong(where, "%s (%s) is longer than %s (%s)", low, a, high, b)
}

func (k *checker) data() {
	d := k.c.Data
	k.listen("data.listen", d.Listen)
	k.sized("data.max_body", d.MaxBody, 1<<10, 1<<30)
	k.sized("data.max_event", d.MaxEvent, 64, 16<<20)
	k.within("data.max_events", d.MaxEvents, 1, 1_000_000)
	k.within("data.max_depth", d.MaxDepth, 1, 1000)
	k.between("data.max_clock_skew", d.MaxClockSkew, 0, 365*Duration(day))
	k.between("data.request_timeout", d.RequestTimeout, durationMS, durationHour)
	k.between("data.read_timeout", d.ReadTimeout, durationMS, durationHour)
	k.between("data.idle_timeout", d.IdleTimeout, durationMS, Duration(day))
	if d.MaxEvent > d.MaxBody {
		path := "data.max_event"
		if _, set := k.places[path]; !set {
			path = "data.max_body"
		}
		k.wrong(path, "max_event (%s) is larger than max_body (%s): such an event could never be sent", d.MaxEvent, d.MaxBody)
	}
	k.keyPair("data.tls", d.TLS.CertFile, d.TLS.KeyFile)
}

func (k *checker) admin() {
	a := k.c.Admin
	k.listen("admin.listen", a.Listen)
	if a.Drills {
		k.wrong("admin.drills", "drills: not supported by this version")
	}
	if collide(a.Listen, k.c.Data.Listen) && !k.failedAt("data.listen") {
		k.wrong("admin.listen", "the data port (%s) has this port already", k.c.Data.Listen)
	}
	host, _, err := net.SplitHostPort(a.Listen)
	if ip := net.ParseIP(host); err == nil && a.TokenFile == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		k.warn("admin.listen", "%s is open to others and asks for no token; set token_file", a.Listen)
	}
}

// collide reports whether only one of the addresses can be listened on.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	everywhere := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

// listen checks an address to listen on.
func (k *checker) listen(path, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		k.wrong(path, "want host:port, such as \":8080\" or \"127.0.0.1:8080\", got %q", shorten(address))
		return
	}
	if strings.ContainsAny(host, " /@") {
		k.wrong(path, "%q is not a host", shorten(host))
	}
	k.port(path, port)
}

func (k *checker) port(path, port string) {
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		k.wrong(path, "want a port from 0 to 65535, got %q", shorten(port))
	}
}

// files makes every path absolute or relative to the working directory, starts
// relative ones at dir, and reads what holds a secret.
func (k *checker) files(dir string) {
	if k.c.Dir != "" {
		k.c.Dir = under(dir, k.c.Dir)
	}
	k.resolve("data", reflect.ValueOf(&k.c.Data).Elem(), dir)
	k.resolve("admin", reflect.ValueOf(&k.c.Admin).Elem(), dir)
	k.secret("admin.token_file", k.c.Admin.TokenFile, &k.c.Admin.Token)
	for name := range k.c.Sinks {
		s, path := k.c.Sinks[name], "sinks."+name
		if s.Kind == "" {
			continue
		}
		k.resolve(path, s.own(), dir)
		if s.Kafka != nil {
			k.secret(path+".sasl.password_file", s.Kafka.SASL.PasswordFile, &s.Kafka.SASL.Password)
		}
		if s.Cassandra != nil {
			k.secret(path+".auth.password_file", s.Cassandra.Auth.PasswordFile, &s.Cassandra.Auth.Password)
		}
	}
}

// resolve starts the relative paths in the struct v at dir and checks that
// there is a file.
func (k *checker) resolve(path string, v reflect.Value, dir string) {
	for f, field := range v.Fields() {
		sub := join(path, f.Tag.Get("yaml"))
		switch {
		case field.Kind() == reflect.Struct:
			k.resolve(sub, field, dir)
		case f.Tag.Get("path") == "file" && field.String() != "":
			field.SetString(under(dir, field.String()))
			file, err := openRegular(field.String())
			if err != nil {
				k.wrong(sub, "cannot read %s: %v", field.String(), err)
				continue
			}
			file.Close()
		}
	}
}

func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// secret reads the file into the secret, which must not be given as well.
func (k *checker) secret(path, file string, into *Secret) {
	if file == "" || k.failedAt(path) {
		return
	}
	if *into != "" {
		k.wrong(path, "the password is given here and in password; want one of them")
		return
	}
	s, err := readSecret(file)
	if err != nil {
		k.wrong(path, "cannot use %s: %v", file, err)
		return
	}
	*into = s
}

// keyPair checks a certificate and its key.
func (k *checker) keyPair(path, cert, key string) {
	switch {
	case cert == "" && key == "":
	case cert == "" || key == "":
		k.wrong(path, "want both cert_file and key_file, or neither")
	case k.failedAt(path+".cert_file") || k.failedAt(path+".key_file"):
	default:
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			k.wrong(path+".cert_file", "not a certificate and its key: %v", err)
		}
	}
}

// clientTLS checks TLS towards a sink.
func (k *checker) clientTLS(path string, t ClientTLS) {
	if !t.Enabled && t != (ClientTLS{}) {
		k.wrong(path, "these settings do nothing without enabled: true")
		return
	}
	k.keyPair(path, t.CertFile, t.KeyFile)
	if t.InsecureSkipVerify {
		k.warn(path+".insecure_skip_verify", "any server can pretend to be the right one")
	}
	if t.CAFile == "" || k.failedAt(path+".ca_file") {
		return
	}
	f, err := openRegular(t.CAFile)
	if err != nil {
		return // it went away since it was resolved; the one who connects will say so
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, 16*maxFile))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
		k.wrong(path+".ca_file", "no certificate in %s", t.CAFile)
	}
}
