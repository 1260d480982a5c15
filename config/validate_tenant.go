package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/event"
)

// A tenantChecker checks one tenant, or the defaults, whose mistakes are
// reported where they were made: what a tenant inherits, at the defaults.
type tenantChecker struct {
	*checker
	path string // tenants.<name>, or defaults
	t    Tenant
}

func (k *checker) tenants() {
	if _, set := k.places["defaults.keys"]; set {
		k.wrong("defaults.keys", "a key belongs to one tenant and cannot be inherited")
	}
	if len(k.c.Tenants) == 0 && !k.failedAt("tenants") && !k.anyUnder("tenants") {
		k.wrong("tenants", "no tenants: nobody could send events; want at least one")
	}
	if _, set := k.places["defaults"]; set && len(k.c.Tenants) == 0 {
		d := &tenantChecker{k, "defaults", k.c.Defaults}
		d.settings()
	}
	owners := map[KeyHash]string{}
	for _, name := range slices.Sorted(maps.Keys(k.c.Tenants)) {
		t := &tenantChecker{k, "tenants." + name, k.c.Tenants[name]}
		t.keys(name, owners)
		t.sinks(name)
		t.settings()
		t.sinkLimits()
	}
}

// anyUnder reports whether something below path was reported.
func (k *checker) anyUnder(path string) bool {
	for p := range k.report.failed {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// at returns the path of a tenant's setting as the file sets it: the tenant's
// own, the inherited one, or the tenant's if neither is there.
func (t *tenantChecker) at(key string) string {
	own := t.path + "." + key
	if _, set := t.places[own]; !set {
		if _, set := t.places["defaults."+key]; set {
			return "defaults." + key
		}
	}
	return own
}

// first returns the path of the first of keys that the file sets.
func (t *tenantChecker) first(keys ...string) string {
	for _, key := range keys {
		if _, set := t.places[t.path+"."+key]; set {
			return t.path + "." + key
		}
	}
	for _, key := range keys {
		if _, set := t.places["defaults."+key]; set {
			return "defaults." + key
		}
	}
	return t.path + "." + keys[0]
}

// firstOr is first for one key, and elsewhere, a path outside of the tenant,
// where only that is set.
func (t *tenantChecker) firstOr(key, elsewhere string) string {
	path := t.first(key)
	if _, set := t.places[path]; set {
		return path
	}
	if _, set := t.places[elsewhere]; set {
		return elsewhere
	}
	return path
}

// called names the tenant's key in a message about path, which may be
// somewhere else altogether.
func (t *tenantChecker) called(key, path string) string {
	if strings.HasPrefix(path, "data.") {
		return t.path + "." + key
	}
	return key
}

func (t *tenantChecker) keys(name string, owners map[KeyHash]string) {
	if len(t.t.Keys) == 0 {
		t.wrong(t.path+".keys", "no keys: nobody could send as %s; `sluice key new` makes one", name)
	}
	for i, key := range t.t.Keys {
		at := t.path + ".keys[" + strconv.Itoa(i) + "]"
		if t.failedAt(at) {
			continue
		}
		switch owner, taken := owners[key]; {
		case taken && owner == name:
			t.wrong(at, "this key is in the list twice")
		case taken:
			t.wrong(at, "tenant %s has this key too: a key tells who is sending", owner)
		}
		owners[key] = name
	}
}

// sinks checks the tenant's sinks, and gives it the only one there is when it
// names none.
func (t *tenantChecker) sinks(name string) {
	known := slices.Sorted(maps.Keys(t.c.Sinks))
	at := t.at("sink")
	if len(t.t.Sink) == 0 {
		if _, set := t.places[at]; !set && len(known) == 1 {
			t.t.Sink = Names{known[0]}
			t.c.Tenants[name] = t.t
			return
		}
		t.wrong(at, "no sink: say where the events go%s", wants(known))
	}
	for i, s := range t.t.Sink {
		path := at
		if _, list := t.places[at+"[0]"]; list {
			path = at + "[" + strconv.Itoa(i) + "]"
		}
		if _, ok := t.c.Sinks[s]; !ok {
			if !t.failedAt("sinks") {
				t.wrong(path, "no sink is called %q%s", shorten(s), didYouMean(s, known))
			}
		} else if slices.Contains(t.t.Sink[:i], s) {
			t.wrong(path, "%s is in the list twice", s)
		}
	}
}

// settings checks what does not need to know the sinks.
func (t *tenantChecker) settings() {
	if t.t.Ack.Weakest > t.t.Ack.Default {
		t.wrong(t.first("ack.default", "ack.weakest"), "default (%s) is weaker than weakest (%s)", t.t.Ack.Default, t.t.Ack.Weakest)
	}
	t.fields()
	p := t.t.Pools
	t.within(t.at("pools.parsers"), p.Parsers, 1, 1024)
	t.within(t.at("pools.validators"), p.Validators, 1, 1024)
	t.within(t.at("pools.batchers"), p.Batchers, 1, 1024)
	t.within(t.at("pools.writers"), p.Writers, 1, 1024)
	t.budget()
	t.within(t.at("rate.events_per_second"), t.t.Rate.EventsPerSecond, 0, 1_000_000_000)
	t.within(t.at("rate.burst"), t.t.Rate.Burst, 0, 1_000_000_000)
	if t.t.Rate.Burst > 0 && t.t.Rate.EventsPerSecond == 0 {
		t.wrong(t.first("rate.burst"), "burst does nothing without events_per_second")
	}
	b := t.t.Batch
	t.within(t.at("batch.max_events"), b.MaxEvents, 1, 100_000)
	t.sized(t.at("batch.max_bytes"), b.MaxBytes, 1<<10, 1<<30)
	t.between(t.at("batch.linger"), Duration(b.Linger.Wait), 0, Duration(10*time.Second))
	u := t.t.Users
	t.between(t.at("users.idle"), u.Idle, Duration(time.Second), 30*Duration(day))
	t.between(t.at("users.dedupe.window"), u.Dedupe.Window, 0, 365*Duration(day))
	t.within(t.at("users.dedupe.max_ids"), u.Dedupe.MaxIDs, 0, 1_000_000)
	t.sized(t.at("users.memory"), u.Memory, 1<<20, 1<<40)
	s := t.t.Supervision
	t.within(t.at("supervision.max_attempts"), s.MaxAttempts, 1, 1000)
	t.within(t.at("supervision.max_restarts"), s.MaxRestarts, 1, 1_000_000)
	t.between(t.at("supervision.within"), s.Within, durationMS, Duration(day))
	t.between(t.at("supervision.backoff.min"), s.Backoff.Min, 0, durationHour)
	t.between(t.at("supervision.backoff.max"), s.Backoff.Max, 0, durationHour)
	if s.Backoff.Min > s.Backoff.Max {
		t.wrong(t.first("supervision.backoff.min", "supervision.backoff.max"), "min (%s) is longer than max (%s)", s.Backoff.Min, s.Backoff.Max)
	}
	if t.t.TTL != nil {
		t.ttl(t.at("ttl"), *t.t.TTL)
	}
}

func (t *tenantChecker) fields() {
	f := event.Fields(t.t.Fields)
	seen := map[string]string{}
	for _, p := range []struct{ key, pointer string }{{"id", f.ID}, {"type", f.Type}, {"user", f.User}, {"ts", f.TS}} {
		at := t.at("fields." + p.key)
		if !jsonPointer(p.pointer) {
			t.wrong(at, "want a JSON Pointer such as /user or /meta/device, got %q", shorten(p.pointer))
		} else if other, taken := seen[p.pointer]; taken {
			t.wrong(t.first("fields."+p.key, "fields."+other), "%s and %s are the same field, %s", other, p.key, shorten(p.pointer))
		}
		seen[p.pointer] = p.key
	}
}

// jsonPointer reports whether s points into an object (RFC 6901).
func jsonPointer(s string) bool {
	if !strings.HasPrefix(s, "/") || len(s) > 1024 || strings.Count(s, "/") > 32 {
		return false
	}
	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return false
		}
	}
	return true
}

// budget checks that whatever the limits of a request allow can be sent at all.
func (t *tenantChecker) budget() {
	b, d := t.t.Budget, t.c.Data
	t.sized(t.at("budget.bytes"), b.Bytes, 1<<10, 1<<40)
	t.within(t.at("budget.events"), b.Events, 1, 100_000_000)
	t.within(t.at("budget.per_user"), b.PerUser, 1, 100_000_000)
	if b.PerUser > b.Events {
		t.wrong(t.first("budget.per_user", "budget.events"), "per_user (%d) is more than events (%d)", b.PerUser, b.Events)
	}
	if b.Bytes < d.MaxBody && !t.failedAt("data.max_body") {
		at := t.firstOr("budget.bytes", "data.max_body")
		t.wrong(at, "%s (%s) is less than data.max_body (%s): the largest body could never be taken",
			t.called("budget.bytes", at), b.Bytes, d.MaxBody)
	}
	if b.Events < d.MaxEvents && !t.failedAt("data.max_events") {
		at := t.firstOr("budget.events", "data.max_events")
		t.wrong(at, "%s (%d) is less than data.max_events (%d): the largest request could never be taken",
			t.called("budget.events", at), b.Events, d.MaxEvents)
	}
	if t.t.Batch.MaxBytes > b.Bytes {
		t.wrong(t.first("batch.max_bytes", "budget.bytes"), "batch.max_bytes (%s) is more than budget.bytes (%s)", t.t.Batch.MaxBytes, b.Bytes)
	}
}

// sinkLimits checks the tenant against the sinks it writes to.
func (t *tenantChecker) sinkLimits() {
	for _, name := range t.t.Sink {
		s, ok := t.c.Sinks[name]
		if !ok || s.Kafka == nil || t.failedAt("sinks."+name+".max_record") {
			continue
		}
		if t.t.Batch.MaxBytes > s.Kafka.MaxRecord {
			t.wrong(t.first("batch.max_bytes"), "batch.max_bytes (%s) is more than the brokers of %s take at once (max_record, %s)",
				t.t.Batch.MaxBytes, name, s.Kafka.MaxRecord)
		}
		if _, set := t.places[t.path+".ttl"]; set && len(t.t.Sink) == 1 {
			t.warn(t.path+".ttl", "it does nothing: Kafka keeps what the topic's retention says")
		}
	}
}

// unused warns of sinks that no tenant writes to.
func (k *checker) unused() {
	for _, name := range slices.Sorted(maps.Keys(k.c.Sinks)) {
		used := slices.ContainsFunc(slices.Collect(maps.Values(k.c.Tenants)), func(t Tenant) bool {
			return slices.Contains(t.Sink, name)
		})
		if _, set := k.places["sinks."+name]; set && !used {
			k.warn("sinks."+name, "no tenant writes to it")
		}
	}
}
