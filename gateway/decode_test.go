package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"sluice/event"
)

// gzipOf compresses with the standard library, which shares no code with the
// decoder under test.
func gzipOf(t testing.TB, body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	compressTo(t, w, body)
	return b.Bytes()
}

func compressTo(t testing.TB, w io.WriteCloser, body []byte) {
	t.Helper()
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func encode(t testing.TB, label string, body []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch strings.ToLower(label) {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, flate.DefaultCompression)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	default:
		return body
	}
	compressTo(t, w, body)
	return b.Bytes()
}

func TestEncodings(t *testing.T) {
	p := start(t, nil)
	// Random text, so that it does not shrink to nothing, in three sizes.
	random := func(n int) []byte {
		r := rand.New(rand.NewPCG(1, 2))
		b := []byte(`{"id":"e-1","type":"click","user":"u","text":"`)
		for len(b) < n {
			b = append(b, "abcdefghijklmnopqrstuvwxyz012345"[r.IntN(32)])
		}
		return append(b, `"}`...)
	}
	for _, label := range []string{"gzip", "GZIP", "x-gzip", "deflate", "raw", "br", "BR", "zstd", "identity", "identity, gzip"} {
		for _, size := range []int{100, 20_000, 300_000} {
			body := random(size)
			header := label
			if label == "raw" {
				header = "deflate" // as some clients do
			}
			sent := string(encode(t, strings.TrimPrefix(label, "identity, "), body))
			for _, framing := range []string{"", "Transfer-Encoding: chunked"} {
				wire := sent
				if framing != "" {
					wire = chunked(sent)
				}
				a := p.do("POST /v1/events", "Content-Encoding: "+header+"\n"+framing, wire)
				a.want(t, 200, "")
				p.intake.mu.Lock()
				got := p.intake.last
				p.intake.mu.Unlock()
				if !bytes.Equal(got.Body, body) {
					t.Errorf("%s of %d bytes, %q: arrived changed", label, size, framing)
				}
				if got.Reserved < len(got.Body) || got.Reserved != cap(got.Body) || got.Reserved > len(got.Body)+len(got.Body)/8+1024 {
					t.Errorf("%s of %d bytes: reserved %d for a slice of %d", label, size, got.Reserved, cap(got.Body))
				}
			}
		}
	}
}

func TestBrokenEncodings(t *testing.T) {
	p := start(t, nil)
	body := []byte(strings.Repeat(oneEvent, 100))
	for _, tc := range []struct {
		name, label string
		body        []byte
		code        string
	}{
		{"cut gzip", "gzip", encode(t, "gzip", body)[:60], CodeInvalidEncoding},
		{"cut deflate", "deflate", encode(t, "deflate", body)[:30], CodeInvalidEncoding},
		{"cut brotli", "br", encode(t, "br", body)[:20], CodeInvalidEncoding},
		{"cut zstd", "zstd", encode(t, "zstd", body)[:20], CodeInvalidEncoding},
		{"noise after gzip", "gzip", append(encode(t, "gzip", body), "noise"...), CodeInvalidEncoding},
		{"noise after deflate", "deflate", append(encode(t, "deflate", body), "noise"...), CodeInvalidEncoding},
		{"noise after brotli", "br", append(encode(t, "br", body), "noise"...), CodeInvalidEncoding},
		{"noise after zstd", "zstd", append(encode(t, "zstd", body), "noise"...), CodeInvalidEncoding},
		{"zstd that says gzip", "gzip", encode(t, "zstd", body), CodeInvalidEncoding},
		{"JSON that says brotli", "br", body, CodeInvalidEncoding},
		{"JSON that says zstd", "zstd", body, CodeInvalidEncoding},
		{"JSON that says deflate", "deflate", body, CodeInvalidEncoding},
		{"gzip of nothing", "gzip", encode(t, "gzip", nil), event.CodeEmptyBody},
		{"zstd of nothing", "zstd", encode(t, "zstd", nil), event.CodeEmptyBody},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Twice, so that the decoder comes from the pool.
			for range 2 {
				p.do("POST /v1/events", "Content-Encoding: "+tc.label, string(tc.body)).want(t, 400, tc.code)
			}
			good := encode(t, tc.label, []byte(oneEvent))
			p.do("POST /v1/events", "Content-Encoding: "+tc.label, string(good)).want(t, 200, "")
		})
	}
}

// TestBombs sends bodies that decode to 1 GiB, several at a time, and watches
// what is allocated and what is reserved.
func TestBombs(t *testing.T) {
	const size = 1 << 30
	for _, label := range []string{"gzip", "deflate", "br", "zstd"} {
		t.Run(label, func(t *testing.T) {
			var b bytes.Buffer
			var w io.WriteCloser
			switch label {
			case "gzip":
				w, _ = gzip.NewWriterLevel(&b, gzip.BestSpeed)
			case "deflate":
				w, _ = zlib.NewWriterLevel(&b, zlib.BestSpeed)
			case "br":
				w = brotli.NewWriterLevel(&b, 1)
			default:
				w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			}
			n := size
			if raceEnabled {
				n = size / 16 // the compressor is what is slow
			}
			zeros := make([]byte, 1<<20)
			for range n / len(zeros) {
				_, _ = w.Write(zeros)
			}
			_ = w.Close()
			bomb := b.String()
			if len(bomb) > testLimits.MaxBody {
				t.Skipf("the bomb is %d bytes: refused for that alone", len(bomb))
			}
			p := start(t, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := p.do("POST /v1/events", "Content-Encoding: "+label, bomb)
			runtime.ReadMemStats(&after)
			a.want(t, 413, CodeBodyTooLarge)
			if !strings.Contains(string(a.body), "once it is decoded") {
				t.Errorf("%s does not say that it is the decoded size", a.body)
			}
			if peak := p.intake.peak.Load(); peak > int64(len(bomb))+2*int64(testLimits.MaxBody) {
				t.Errorf("%d bytes were reserved at once", peak)
			}
			// The client's copy of the bomb, the server's, and growing to max_body.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(4*len(bomb))+64<<20 {
				t.Errorf("%d bytes were allocated for a bomb of %d", grown, len(bomb))
			}
		})
	}
}

// TestAZstdWindowIsLimited: RFC 9659 lets a body ask for 8 MiB.
func TestAZstdWindowIsLimited(t *testing.T) {
	p := start(t, nil)
	// Magic, a frame header with a window of 64 MiB and no content size, and a
	// last raw block of one byte.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x09, 0x00, 0x00, 'x'}
	a := p.do("POST /v1/events", "Content-Encoding: zstd", string(frame))
	a.want(t, 400, CodeInvalidEncoding)
	if !strings.Contains(string(a.body), "window") {
		t.Errorf("%s does not say why", a.body)
	}
}

func TestDecodersAreLimited(t *testing.T) {
	p := start(t, func(p *port, o *Options) { o.RequestTimeout = 50e6 })
	for range cap(p.srv.decoders.slots) {
		p.srv.decoders.slots <- struct{}{}
	}
	p.do("POST /v1/events", "Content-Encoding: gzip", string(gzipOf(t, []byte(oneEvent)))).want(t, 503, CodeOverloaded)
	for range cap(p.srv.decoders.slots) {
		<-p.srv.decoders.slots
	}
	p.do("POST /v1/events", "Content-Encoding: gzip", string(gzipOf(t, []byte(oneEvent)))).want(t, 200, "")
}

// TestManyEmptyFrames sends bodies that are as long as allowed and decode to
// nothing, or next to it: what they cost is the time of looking at them.
func TestManyEmptyFrames(t *testing.T) {
	p := start(t, nil)
	for _, label := range []string{"gzip", "zstd"} {
		empty := encode(t, label, nil)
		if label == "zstd" {
			empty = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00} // a frame of no bytes
		}
		n := testLimits.MaxBody / len(empty)
		if raceEnabled {
			n /= 16
		}
		began := time.Now()
		p.do("POST /v1/events", "Content-Encoding: "+label, strings.Repeat(string(empty), n)).want(t, 400, event.CodeEmptyBody)
		t.Logf("%d empty frames of %s took %s", n, label, time.Since(began))
	}
}

// FuzzDecode: no bytes make a decoder panic, pass the limit or keep credits.
func FuzzDecode(f *testing.F) {
	for _, label := range []string{"gzip", "deflate", "raw", "br", "zstd"} {
		f.Add(uint8(1), encode(f, label, []byte(oneEvent)))
		f.Add(uint8(4), encode(f, label, bytes.Repeat([]byte{'x'}, 20_000)))
	}
	limits := testLimits
	limits.MaxBody = 10_000
	srv := instantServer(f)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		intake := &fakeIntake{}
		x := &exchange{srv: srv, table: &table{limits: limits}, tenant: &Tenant{Intake: intake}}
		decoded, bad := x.decode(coding(which%4)+gzipped, body)
		if bad == nil && (len(decoded) > limits.MaxBody || x.held != cap(decoded)) {
			t.Fatalf("%d bytes of %d allowed, %d reserved for %d", len(decoded), limits.MaxBody, x.held, cap(decoded))
		}
		if int64(x.held) != intake.used.Load() || intake.peak.Load() > int64(2*limits.MaxBody) {
			t.Fatalf("held %d, used %d, peak %d", x.held, intake.used.Load(), intake.peak.Load())
		}
		if len(srv.decoders.slots) != 0 {
			t.Fatal("a decoder was not given back")
		}
	})
}
