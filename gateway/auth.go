package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"

	"github.com/valyala/fasthttp"
)

// challenge is sent with every 401.
const challenge = `Bearer realm="sluice", Basic realm="sluice", charset="UTF-8"`

const howToSend = `Send the key as "Authorization: Bearer <key>", as the user name of Basic, or as X-Api-Key.`

// maxKey bounds what is hashed for a request that has yet to say who it is.
const maxKey = 512

// authenticate returns the tenant whose key the request presents.
//
// The key is looked up by its SHA-256. The time a map takes depends on that
// hash, but nobody can choose hashes to approach a stored one step by step,
// and a key is 256 random bits: unlike the comparison of the key itself, the
// look-up leaks nothing that helps to guess.
func (t *table) authenticate(h *fasthttp.RequestHeader, found *head, inQuery bool) (*Tenant, *problem) {
	var buf [maxKey]byte
	key, flaw := presentedKey(h, found, buf[:0])
	if inQuery {
		// Whoever puts a key there learns it before it works anyhow: the URI is
		// in the logs of everything on the way.
		p := &problem{status: 401, code: CodeKeyInQuery, auth: challenge,
			detail: "A key in the query string ends up in logs; it is not looked at there. " + howToSend}
		if len(key) > 0 || flaw != nil {
			p.status, p.auth = 400, ""
		}
		return nil, p
	}
	if flaw != nil {
		return nil, flaw
	}
	if len(key) == 0 {
		return nil, &problem{status: 401, code: CodeMissingKey, auth: challenge, detail: "No key was presented. " + howToSend}
	}
	tenant := t.byKey[sha256.Sum256(key)]
	if tenant == nil {
		return nil, &problem{status: 401, code: CodeUnknownKey, auth: challenge + `, error="invalid_token"`,
			detail: "No tenant has the key that was presented."}
	}
	return tenant, nil
}

// presentedKey returns the key in the headers, empty when there is none. It
// appends to buf where the key must be decoded.
func presentedKey(h *fasthttp.RequestHeader, found *head, buf []byte) ([]byte, *problem) {
	var fromAuth, fromHeader []byte
	if found.authorization > 0 {
		scheme, rest, _ := bytes.Cut(h.Peek("Authorization"), []byte{' '})
		rest = bytes.TrimSpace(rest)
		switch {
		case bytes.EqualFold(scheme, []byte("Bearer")):
			fromAuth = rest
		case bytes.EqualFold(scheme, []byte("Basic")):
			if base64.StdEncoding.DecodedLen(len(rest)) > cap(buf) {
				return nil, unknownKey()
			}
			decoded, err := base64.StdEncoding.AppendDecode(buf, rest)
			if err != nil {
				return nil, unknownKey()
			}
			fromAuth, _, _ = bytes.Cut(decoded, []byte{':'})
		}
	}
	if found.apiKey > 0 {
		fromHeader = bytes.TrimSpace(h.Peek("X-Api-Key"))
	}
	switch {
	case len(fromAuth) > 0 && len(fromHeader) > 0:
		return nil, &problem{status: 400, code: CodeAmbiguousKey, detail: "Authorization and X-Api-Key both hold a key. Send one."}
	case len(fromAuth) > maxKey || len(fromHeader) > maxKey:
		return nil, unknownKey()
	case len(fromAuth) > 0:
		return fromAuth, nil
	}
	return fromHeader, nil
}

func unknownKey() *problem {
	return &problem{status: 401, code: CodeUnknownKey, auth: challenge + `, error="invalid_token"`,
		detail: "What was presented is not a key. " + howToSend}
}
