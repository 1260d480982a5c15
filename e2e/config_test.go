package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// keyOf returns the API key of a tenant, the same in every test.
func keyOf(tenant string) string { return "key-of-" + tenant }

// hashOf returns the hash of a tenant's key as the configuration wants it.
// `sluice key new` is not asked: it is under test.
func hashOf(tenant string) string {
	sum := sha256.Sum256([]byte(keyOf(tenant)))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ports lets the system choose both.
const ports = `
data: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
`

// localStore is a configuration of one tenant, acme, on the embedded store.
const localStore = ports + `
dir: ./data
sinks: {local: {kind: local, min_free: 1MiB}}
tenants: {acme: {keys: [KEY(acme)]}}
`

// configure writes a configuration file, in which KEY(tenant) is replaced by
// the hash of the tenant's key and each old of pairs by the new that follows
// it.
func configure(t *testing.T, yaml string, pairs ...string) string {
	t.Helper()
	yaml = strings.NewReplacer(pairs...).Replace(yaml)
	for {
		before, rest, ok := strings.Cut(yaml, "KEY(")
		if !ok {
			return write(t, "sluice.yaml", yaml)
		}
		tenant, after, _ := strings.Cut(rest, ")")
		yaml = before + `"` + hashOf(tenant) + `"` + after
	}
}
