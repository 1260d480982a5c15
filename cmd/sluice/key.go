package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"sluice/config"
)

// keyCmd is `sluice key`.
type keyCmd struct {
	New keyNewCmd `cmd:"" help:"Make an API key, and the line that lets its owner in."`
}

// keyNewCmd is `sluice key new`.
type keyNewCmd struct {
	JSON bool `name:"json" help:"Print key and hash as JSON."`
}

// Run prints a new key and its hash, a line each; what they are for goes to
// the error stream, so that a script can take the lines as they are.
func (c keyNewCmd) Run(_ context.Context, std stdio) error {
	key := newKey()
	hash := config.HashKey(key).String()
	if c.JSON {
		return std.json(map[string]string{"key": key, "hash": hash})
	}
	fmt.Fprintln(std.Err, "The first line is the key: give it to who sends; it is shown only this once.")
	fmt.Fprintln(std.Err, "The second goes into the configuration, under tenants.<name>.keys.")
	_, err := fmt.Fprintf(std.Out, "%s\n%s\n", key, hash)
	return err
}

// newKey returns an API key of 256 random bits. Its prefix lets scanners for
// leaked secrets recognise it.
func newKey() string {
	var bits [32]byte
	rand.Read(bits[:]) // never fails
	return "slk_" + base64.RawURLEncoding.EncodeToString(bits[:])
}

// givenKey returns the key in --key-file, or else that of --key or SLUICE_KEY.
func givenKey(key, file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--key-file: %w", err)
		}
		key = string(b)
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", errors.New("no key: use --key-file, SLUICE_KEY or --key")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("the key holds characters that no key has")
	}
	return key, nil
}
