package config

import (
	"strings"
	"testing"
)

// TestNoMistakeBesideASecretShowsIt breaks a file at every place but in its
// secrets and their keys, by every character that means something to YAML.
func TestNoMistakeBesideASecretShowsIt(t *testing.T) {
	const file = `sinks:
  b:
    kind: kafka
    sasl: {user: u, password: hunter2}
  c:
    kind: cassandra
    auth:
      password: hunter2
      user: u
tenants:
  a:
    sink: b
    keys:
    - hunter2
    ttl: 1
`
	secret := make([]bool, len(file)+1)
	for _, word := range []string{"password: hunter2", "keys:\n    - hunter2"} {
		for from := 0; ; {
			i := strings.Index(file[from:], word)
			if i < 0 {
				break
			}
			for j := from + i + 1; j < from+i+len(word); j++ {
				secret[j] = true
			}
			from += i + len(word)
		}
	}
	tried := 0
	for i := range len(file) + 1 {
		if secret[i] {
			continue
		}
		broken := []string{file[:i]}
		for _, c := range "[]{}\"':,\n\t&*!|>#-?%@` x" {
			broken = append(broken, file[:i]+string(c)+file[i:])
		}
		if i < len(file) && !secret[i+1] {
			broken = append(broken, file[:i]+file[i+1:])
		}
		for _, text := range broken {
			tried++
			if _, err := Parse([]byte(text), "f", environment); err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("of\n%s\nit says\n%v", text, err)
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d files", tried)
	}
}
