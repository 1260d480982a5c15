// Package config is everything an operator can set: the structs with their
// documentation and defaults, the strict loader that reports every mistake at
// once with its place in the file, and the view of what is in force.
//
// The doc comment of each field is the source of docs/configuration.md, which
// a test keeps in step.
package config

//go:generate go test -run TestConfigurationPageIsUpToDate -update .

// Config is a whole sluice.yaml. One made by Load, Parse or Default is
// complete: every knob has its value, every secret is read, relative paths are
// resolved. It is not to be changed while others read it.
type Config struct {
	// The data port, where events come in.
	Data Data `yaml:"data"`
	// The admin port: health, metrics, configuration, profiles.
	Admin Admin `yaml:"admin"`
	// Where the local store and other state of this gateway live. Only one
	// process may use it at a time. A relative path here, as everywhere in this
	// file, starts at the folder of this file.
	Dir string `yaml:"dir"`
	// How long a stop may take: what is in flight when it begins has this long
	// to get its outcome.
	DrainTimeout Duration `yaml:"drain_timeout"`
	// Where events can go, by name.
	Sinks map[string]Sink `yaml:"sinks"`
	// Settings that every tenant inherits, key by key, unless it has its own.
	// All keys of a tenant but `keys`.
	Defaults Tenant `yaml:"defaults"`
	// Who may send events, by name. At least one.
	Tenants map[string]Tenant `yaml:"tenants"`

	warnings []Problem
}

// Data is the data port.
type Data struct {
	// Address to listen on, `host:port`. Without a host: on all interfaces.
	Listen string `yaml:"listen"`
	// The most bytes of one request's body, before and after decompression.
	// Larger ones are answered 413.
	MaxBody Size `yaml:"max_body"`
	// The most bytes of one event.
	MaxEvent Size `yaml:"max_event"`
	// The most events of one request.
	MaxEvents int `yaml:"max_events"`
	// The deepest nesting of one event; the event itself is depth 1.
	MaxDepth int `yaml:"max_depth"`
	// How far in the future an event's time may be, as seen by this machine's
	// clock.
	MaxClockSkew Duration `yaml:"max_clock_skew"`
	// How long a request waits for its outcome. After that it is answered 503
	// with `outcome_unknown`; its events are still delivered.
	RequestTimeout Duration `yaml:"request_timeout"`
	// How long a client may take to send a whole request, header and body.
	ReadTimeout Duration `yaml:"read_timeout"`
	// How long a kept-alive connection may be silent between two requests.
	IdleTimeout Duration `yaml:"idle_timeout"`
	// HTTPS. Off while both are empty.
	TLS ServerTLS `yaml:"tls"`
}

// ServerTLS is the certificate of a port.
type ServerTLS struct {
	// Certificate chain, PEM.
	CertFile string `yaml:"cert_file" path:"file"`
	// Private key of the certificate, PEM.
	KeyFile string `yaml:"key_file" path:"file"`
}

// Enabled reports whether the port speaks TLS.
func (t ServerTLS) Enabled() bool { return t.CertFile != "" || t.KeyFile != "" }

// Admin is the admin port.
type Admin struct {
	// Address to listen on, `host:port`. It shows configuration and profiles:
	// set `token_file` before it listens on more than loopback.
	Listen string `yaml:"listen"`
	// File that holds the bearer token everything but `/healthz` and `/readyz`
	// asks for. Empty: no token is asked for.
	TokenFile string `yaml:"token_file" path:"file"`
	// Whether `POST /v1/drills` may inject failures, to rehearse them. Not
	// supported by this version, where only `false` is accepted.
	Drills bool `yaml:"drills"`

	// Token is what TokenFile holds, trimmed. Empty: none.
	Token Secret `yaml:"-"`
}

// TTL returns how long the tenant's events are kept in the sink, 0 for ever:
// the tenant's own ttl or else the sink's. Kafka keeps what its topic says.
func (c *Config) TTL(tenant, sink string) Duration {
	t, s := c.Tenants[tenant], c.Sinks[sink]
	switch {
	case t.TTL != nil:
		return *t.TTL
	case s.Local != nil:
		return s.Local.TTL
	case s.Cassandra != nil:
		return s.Cassandra.TTL
	}
	return 0
}
