package gateway

import "bytes"

// head is what one pass over the raw header block found: how often the headers
// occur that may occur once, and whether the block is one that two parsers
// could read differently.
type head struct {
	contentLength, transferEncoding uint8
	contentType, contentEncoding    uint8
	authorization, apiKey           uint8

	flaw string // in words for the client; empty when there is none
}

var (
	nameContentType      = []byte("content-type")
	nameContentLength    = []byte("content-length")
	nameContentEncoding  = []byte("content-encoding")
	nameTransferEncoding = []byte("transfer-encoding")
	nameAuthorization    = []byte("authorization")
	nameAPIKey           = []byte("x-api-key")
)

// scanHead reads the header block as it came over the wire, without the
// request line. fasthttp accepts more than RFC 9112 lets a server that may
// stand behind a proxy accept: a bare LF as line end, folded lines, a blank in
// a header's name, Transfer-Encoding: identity, and Content-Length next to
// Transfer-Encoding. Each can make the proxy and this server see different
// requests in the same bytes, so each is a flaw here.
func scanHead(raw []byte) head {
	var h head
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			end = len(raw) // the scanner of fasthttp has seen to it that it is complete
		}
		line := raw[:end]
		raw = raw[min(end+1, len(raw)):]
		if len(line) == 0 || line[len(line)-1] != '\r' {
			h.flaw = "A header line ends with LF alone instead of CR LF."
			return h
		}
		line = line[:len(line)-1]
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			h.flaw = "A header is folded over more than one line, which HTTP/1.1 no longer allows."
			return h
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			h.flaw = "A header line has no name."
			return h
		}
		name := line[:colon]
		if bytes.IndexByte(name, ' ') >= 0 || bytes.IndexByte(name, '\t') >= 0 {
			h.flaw = "The name of a header has a blank in it."
			return h
		}
		h.count(name)
	}
	h.flaw = h.ambiguity()
	return h
}

func (h *head) count(name []byte) {
	var n *uint8
	switch {
	case len(name) == len(nameContentType) && equalFold(name, nameContentType):
		n = &h.contentType
	case len(name) == len(nameContentLength) && equalFold(name, nameContentLength):
		n = &h.contentLength
	case len(name) == len(nameContentEncoding) && equalFold(name, nameContentEncoding):
		n = &h.contentEncoding
	case len(name) == len(nameTransferEncoding) && equalFold(name, nameTransferEncoding):
		n = &h.transferEncoding
	case len(name) == len(nameAuthorization) && equalFold(name, nameAuthorization):
		n = &h.authorization
	case len(name) == len(nameAPIKey) && equalFold(name, nameAPIKey):
		n = &h.apiKey
	default:
		return
	}
	if *n < 255 {
		*n++
	}
}

func (h *head) ambiguity() string {
	switch {
	case h.transferEncoding > 0 && h.contentLength > 0:
		return "Content-Length and Transfer-Encoding exclude each other."
	case h.transferEncoding > 1 || h.contentLength > 1:
		return "Content-Length or Transfer-Encoding was sent more than once."
	case h.contentType > 1:
		return "Content-Type was sent more than once."
	case h.authorization > 1 || h.apiKey > 1:
		return "The header with the key was sent more than once."
	}
	return ""
}

// equalFold reports whether b, in any case, is the lower-case ASCII name. The
// lengths are equal.
func equalFold(b, name []byte) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}
