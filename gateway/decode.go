package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window a body may ask for: what RFC 9659 lets
// a Content-Encoding use.
const maxWindow = 8 << 20

// maxRatio is the most that deflate can shrink (zlib.net, "Maximum Compression
// Factor"): a length that claims more is a lie.
const maxRatio = 1032

// decoders hands out decoders, as many at once as there are processors. A
// decoder owns up to 17 MiB (the window of brotli; 8 MiB for zstd, 40 KiB for
// the rest) that no tenant's budget covers, so their number is what bounds it.
type decoders struct {
	slots chan struct{}

	gzip, zlib, flate, brotli, zstd sync.Pool
}

func newDecoders() *decoders {
	return &decoders{slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// errEncoding says that a body is not what its Content-Encoding says.
var errEncoding = errors.New("gateway: not encoded as labelled")

// decode returns the decoded body, in memory reserved as it grew.
func (x *exchange) decode(c coding, body []byte) ([]byte, *problem) {
	d := x.srv.decoders
	select {
	case d.slots <- struct{}{}:
	default:
		timer := time.NewTimer(x.srv.opts.RequestTimeout)
		defer timer.Stop()
		select {
		case d.slots <- struct{}{}:
		case <-timer.C:
			return nil, &problem{status: 503, code: CodeOverloaded, retryAfter: x.tenant.Intake.RetryAfter(),
				detail: "Too many compressed bodies are being decoded. Nothing of the request was accepted."}
		}
	}
	defer func() { <-d.slots }()

	source := bytes.NewReader(body)
	r, giveBack, err := d.open(c, source, body)
	var decoded []byte
	if err == nil {
		var bad *problem
		decoded, bad, err = x.readAll(r, sizeHint(c, body, x.table.limits.MaxBody))
		if bad != nil {
			giveBack()
			if bad.code == CodeBodyTooLarge {
				bad = bodyTooLarge(x.table.limits.MaxBody, " once it is decoded")
			}
			return nil, bad
		}
		giveBack()
		if err == nil && source.Len() > 0 {
			err = errEncoding // something follows the end of the stream
		}
	}
	if err != nil {
		detail := "The body is not valid " + c.String() + ", which its Content-Encoding says it is."
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			detail = "The " + c.String() + " body ends before its end."
		case errors.Is(err, zstd.ErrWindowSizeExceeded):
			detail = "The zstd body asks for a window of more than 8 MiB. Compress it without --long and below --ultra."
		}
		return nil, &problem{status: 400, code: CodeInvalidEncoding, detail: detail}
	}
	return decoded, nil
}

// open returns a decoder of c that reads source, and the function that puts it
// back. A decoder that panics is not put back.
func (d *decoders) open(c coding, source *bytes.Reader, body []byte) (io.Reader, func(), error) {
	switch c {
	case gzipped:
		r, _ := d.gzip.Get().(*gzip.Reader)
		if r == nil {
			r = new(gzip.Reader)
		}
		return r, func() { d.gzip.Put(r) }, r.Reset(source)
	case deflated:
		if isZlib(body) {
			r, _ := d.zlib.Get().(io.ReadCloser)
			if r == nil {
				r, err := zlib.NewReader(source)
				return r, func() { d.zlib.Put(r) }, err
			}
			return r, func() { d.zlib.Put(r) }, r.(zlib.Resetter).Reset(source, nil)
		}
		r, _ := d.flate.Get().(io.ReadCloser)
		if r == nil {
			r = flate.NewReader(source)
			return r, func() { d.flate.Put(r) }, nil
		}
		return r, func() { d.flate.Put(r) }, r.(flate.Resetter).Reset(source, nil)
	case brotlied:
		r, _ := d.brotli.Get().(*brotli.Reader)
		if r == nil {
			r = new(brotli.Reader)
		}
		return r, func() { d.brotli.Put(r) }, r.Reset(source)
	default:
		r, _ := d.zstd.Get().(*zstd.Decoder)
		if r == nil {
			var err error
			// One goroutine's decoder: with concurrency 1 it starts none.
			r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, func() {}, err
			}
		}
		return r, func() { _ = r.Reset(nil); d.zstd.Put(r) }, r.Reset(source)
	}
}

// isZlib tells zlib (RFC 1950), which deflate means, from the raw deflate (RFC
// 1951) that some clients send under that name.
func isZlib(body []byte) bool {
	return len(body) >= 2 && body[0]&0x0f == 8 && (int(body[0])<<8|int(body[1]))%31 == 0
}

// sizeHint is how many bytes the body says it decodes to; 0 when it does not
// say, or something that cannot be. A hint is only room that is taken (and
// reserved) at once instead of in steps.
func sizeHint(c coding, body []byte, limit int) int {
	var n uint64
	switch c {
	case gzipped: // ISIZE, of the last member
		if len(body) < 18 {
			return 0
		}
		n = uint64(binary.LittleEndian.Uint32(body[len(body)-4:]))
	case zstandard:
		var h zstd.Header
		if h.Decode(body[:min(len(body), zstd.HeaderMaxSize)]) != nil || !h.HasFCS {
			return 0
		}
		n = h.FrameContentSize
	default:
		return min(4*len(body), limit)
	}
	if n > uint64(limit) || n > maxRatio*uint64(len(body)) {
		return 0
	}
	return int(n)
}
