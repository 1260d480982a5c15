package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// Linger is how long a batch waits for company.
type Linger struct {
	Auto bool
	Wait time.Duration // without Auto
}

// ParseLinger reads `auto` or a duration.
func ParseLinger(s string) (Linger, error) {
	if s == "auto" {
		return Linger{Auto: true}, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		return Linger{}, errors.New("want auto, or a duration such as 5ms")
	}
	return Linger{Wait: time.Duration(d)}, nil
}

func (l Linger) String() string {
	if l.Auto {
		return "auto"
	}
	return Duration(l.Wait).String()
}

// KeyHash is the SHA-256 of an API key.
type KeyHash [sha256.Size]byte

const keyPrefix = "sha256:"

// HashKey returns the hash under which key is configured.
func HashKey(key string) KeyHash { return sha256.Sum256([]byte(key)) }

// ParseKeyHash reads `sha256:` and 64 lower-case hex digits. Its error does not
// repeat s, which may be a key that somebody mistook for its hash.
func ParseKeyHash(s string) (KeyHash, error) {
	var h KeyHash
	digits, ok := strings.CutPrefix(s, keyPrefix)
	if !ok || len(digits) != 2*len(h) || strings.ToLower(digits) != digits {
		return h, errors.New("want sha256: and 64 lower-case hex digits, as `sluice key new` prints them")
	}
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		return h, errors.New("want sha256: and 64 lower-case hex digits, as `sluice key new` prints them")
	}
	return h, nil
}

// String returns the line that goes into a configuration.
func (h KeyHash) String() string { return keyPrefix + hex.EncodeToString(h[:]) }

// Names is one name or a list of them.
type Names []string

// Secret is a value that is never printed: neither %v nor %#v nor an encoder
// shows it.
type Secret string

const redacted = "[redacted]"

// Reveal returns the value, for the one who logs in with it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
