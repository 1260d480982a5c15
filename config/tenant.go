package config

import "sluice/event"

// Tenant is one sender of events with its own budget, pools and rules.
type Tenant struct {
	// Who may send: `sha256:` and the SHA-256 of a key in lower-case hex, as
	// `sluice key new` prints it. At least one; several, to change keys without
	// a gap. No two tenants may share a key.
	Keys []KeyHash `yaml:"keys"`
	// Where events go: the name of a sink, or a list of them; then stored means
	// stored in all. With a single sink configured, that one is the default.
	Sink Names `yaml:"sink"`
	// What a 2xx promises.
	Ack AckPolicy `yaml:"ack"`
	// Where an event holds what sluice reads.
	Fields Fields `yaml:"fields"`
	// How many actors of each kind work for this tenant.
	Pools Pools `yaml:"pools"`
	// The most that may be in flight, which bounds memory. When it is used up,
	// requests are answered 429.
	Budget Budget `yaml:"budget"`
	// How many events a second may come.
	Rate Rate `yaml:"rate"`
	// When a batch goes to the sink: at the first of these limits.
	Batch Batch `yaml:"batch"`
	// What is remembered of each user.
	Users Users `yaml:"users"`
	// What happens when handling an event fails unexpectedly.
	Supervision Supervision `yaml:"supervision"`
	// How long this tenant's events are kept, instead of the sink's `ttl`. 0: for
	// ever. Kafka keeps what its topic says.
	TTL *Duration `yaml:"ttl"`
}

// AckPolicy is what a 2xx promises.
type AckPolicy struct {
	// The level of requests that do not ask for one: `stored` (the sink confirmed)
	// or `received` (valid and in memory; lost if the process dies).
	Default event.Ack `yaml:"default"`
	// The weakest level a request may ask for.
	Weakest event.Ack `yaml:"weakest"`
}

// Fields says where an event holds the fields sluice reads, each a JSON Pointer
// (RFC 6901) into the event. It converts to event.Fields.
type Fields struct {
	// The idempotency key within tenant and user.
	ID string `yaml:"id"`
	// The type of the event.
	Type string `yaml:"type"`
	// Whose event it is: the user, device or sensor whose events keep their order.
	User string `yaml:"user"`
	// When it happened: RFC 3339 or milliseconds since 1970.
	TS string `yaml:"ts"`
}

// Pools is how many actors of each kind a tenant has, 1 to 1024 each; batchers
// and writers for each of its sinks.
type Pools struct {
	// Actors that parse bodies.
	Parsers int `yaml:"parsers"`
	// Actors that check events.
	Validators int `yaml:"validators"`
	// Actors that gather events into batches.
	Batchers int `yaml:"batchers"`
	// Actors that write batches: writes to the sink under way at once. For Kafka
	// best as many as the topic has partitions.
	Writers int `yaml:"writers"`
}

// Budget is the most a tenant may have in flight.
type Budget struct {
	// Bytes of bodies in flight. At least `data.max_body`.
	Bytes Size `yaml:"bytes"`
	// Events in flight. At least `data.max_events`.
	Events int `yaml:"events"`
	// Events in flight of one user; only that user is refused beyond it.
	PerUser int `yaml:"per_user"`
}

// Rate is a limit of events per second.
type Rate struct {
	// Events a second in the long run. 0: no limit.
	EventsPerSecond int `yaml:"events_per_second"`
	// Events that may come at once. 0: one second's worth.
	Burst int `yaml:"burst"`
}

// Batch is when a batch goes to the sink.
type Batch struct {
	// Events of one batch.
	MaxEvents int `yaml:"max_events"`
	// Bytes of one batch; an event larger than this goes alone.
	MaxBytes Size `yaml:"max_bytes"`
	// How long the first event of a batch waits for company. `auto`: not at all
	// when the sink is idle, longer as the queue grows.
	Linger Linger `yaml:"linger"`
}

// Users is what is remembered of each user.
type Users struct {
	// A user without events for this long is put to rest: its actor ends, its
	// dedupe window stays.
	Idle Duration `yaml:"idle"`
	// How duplicates are recognised.
	Dedupe Dedupe `yaml:"dedupe"`
	// Memory for all users of the tenant. When it is used up, those idle the
	// longest are forgotten early, and with them the ids they sent.
	Memory Size `yaml:"memory"`
}

// Dedupe is the window in which an id that was there before is a duplicate.
type Dedupe struct {
	// How long an id is remembered.
	Window Duration `yaml:"window"`
	// Ids remembered per user; beyond it the oldest are forgotten. 0: an id is
	// known only as long as its event is in flight.
	MaxIDs int `yaml:"max_ids"`
}

// Supervision is what happens when an actor fails.
type Supervision struct {
	// Times that a message is handled before it is quarantined.
	MaxAttempts int `yaml:"max_attempts"`
	// Restarts of one actor, within the time below, after which each further one
	// waits `backoff.max`.
	MaxRestarts int `yaml:"max_restarts"`
	// The time in which restarts are counted.
	Within Duration `yaml:"within"`
	// The wait before a restart.
	Backoff Backoff `yaml:"backoff"`
}

// Backoff is a wait that doubles.
type Backoff struct {
	// The first wait; it doubles from there.
	Min Duration `yaml:"min"`
	// The longest wait.
	Max Duration `yaml:"max"`
}
