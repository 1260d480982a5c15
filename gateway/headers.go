package gateway

import (
	"bytes"
	"strconv"
	"strings"

	"sluice/event"
)

// What a POST understands, as Accept-Post (W3C LDP, section 7.1) and
// Accept-Encoding (RFC 9110, section 12.5.3) say it.
const (
	acceptPost     = "application/json, application/x-ndjson, application/ndjson, application/jsonl"
	acceptEncoding = "gzip, deflate, br, zstd, identity"
)

const (
	typeJSON    = "application/json"
	typeNDJSON  = "application/x-ndjson"
	typeProblem = "application/problem+json"
)

// parseContentType returns the format a Content-Type names, or the sentence
// that says why it names none.
func parseContentType(value []byte) (event.Format, string) {
	if len(value) == 0 {
		return 0, "Content-Type is missing."
	}
	switch string(value) { // what nearly every request says, without an allocation
	case typeJSON:
		return event.JSON, ""
	case typeNDJSON:
		return event.NDJSON, ""
	}
	media, params, _ := strings.Cut(string(value), ";")
	var format event.Format
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/json":
		format = event.JSON
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		format = event.NDJSON
	default:
		return 0, "The Content-Type " + quoted(media) + " is not understood."
	}
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "charset") {
			charset := strings.Trim(strings.TrimSpace(value), `"`)
			if !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") && !strings.EqualFold(charset, "us-ascii") {
				return 0, "The charset " + quoted(charset) + " is not understood: JSON is UTF-8."
			}
		}
	}
	return format, ""
}

// coding is a Content-Encoding.
type coding uint8

const (
	identity coding = iota
	gzipped
	deflated
	brotlied
	zstandard
)

func (c coding) String() string {
	return [...]string{"identity", "gzip", "deflate", "br", "zstd"}[c]
}

// parseContentEncoding returns the coding a Content-Encoding names, or the
// sentence that says why it names none. More than one that is not identity is
// refused: each would multiply what a small body can grow to.
func parseContentEncoding(value []byte) (coding, string) {
	found := identity
	for len(value) > 0 {
		var name []byte
		name, value, _ = bytes.Cut(value, []byte{','})
		name = bytes.TrimSpace(name)
		var c coding
		switch strings.ToLower(string(name)) {
		case "", "identity":
			continue
		case "gzip", "x-gzip":
			c = gzipped
		case "deflate":
			c = deflated
		case "br":
			c = brotlied
		case "zstd":
			c = zstandard
		default:
			return 0, "The Content-Encoding " + quoted(string(name)) + " is not understood."
		}
		if found != identity {
			return 0, "A body may be encoded once: more than one Content-Encoding is not understood."
		}
		found = c
	}
	return found, ""
}

// prefersNDJSON reports whether an Accept header ranks NDJSON above JSON.
// Whoever accepts neither gets JSON: an answer that can be read beats a 406.
func prefersNDJSON(accept []byte) bool {
	if len(accept) == 0 {
		return false
	}
	best, json := -1, -1 // thousandths, as q has at most three digits
	for len(accept) > 0 {
		var item []byte
		item, accept, _ = bytes.Cut(accept, []byte{','})
		media, params, _ := strings.Cut(string(item), ";")
		q := quality(params)
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "application/x-ndjson", "application/ndjson", "application/jsonl":
			best = max(best, q)
		case "application/json":
			json = max(json, q)
		}
	}
	return best > 0 && best >= json
}

// quality returns the q of a media range in thousandths; 1000 when there is
// none, 0 when it is not a number from 0 to 1.
func quality(params string) int {
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}

// quoted returns s for use in a sentence: in quotes, and not longer than a
// reader wants.
func quoted(s string) string {
	const longest = 80
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\ufffd")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return strconv.Quote(s)
}
