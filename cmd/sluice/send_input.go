package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/event"
)

// headBytes is how much of a file its identity is taken from.
const headBytes = 64 << 10

// sendInput is one file, or the standard input.
type sendInput struct {
	name  string // as the user knows it
	path  string // absolute; empty for the standard input
	stdin io.Reader

	// What makes the file the same one when sending is resumed.
	regular bool
	size    int64 // -1: not known
	mtime   time.Time
	head    string // SHA-256 of the first headBytes, hexadecimal

	read  atomic.Int64 // bytes of the file so far, compressed where it is
	track *sendTrack
	store *sendStore // nil: nothing is remembered
}

func newFileInput(name string) (*sendInput, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name its files, such as %s", name, filepath.Join(name, "*.ndjson"))
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	in := &sendInput{name: name, path: path, regular: info.Mode().IsRegular(), size: -1}
	if !in.regular {
		return in, nil // a pipe: reading from it here would take bytes away
	}
	in.size, in.mtime = info.Size(), info.ModTime().UTC()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.CopyN(hash, f, headBytes); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	in.head = hex.EncodeToString(hash.Sum(nil))
	return in, nil
}

// eventReader takes the events out of one input, in order.
type eventReader interface {
	// next returns the next event, or io.EOF at the end, or what is wrong with
	// the rest of the input. An event that is too large is returned with nil
	// data and its size, or what of it was looked at.
	next() (readEvent, error)
	close()
}

// readEvent is an event with where it begins.
type readEvent struct {
	data   []byte // owned by the receiver; nil: too large
	size   int64
	line   int   // of NDJSON the line, of JSON the how-manieth value; from 1
	offset int64 // of NDJSON: its line's first byte in the decompressed input

	// Of NDJSON: where to go on.
	nextLine   int
	nextOffset int64
}

// startAt is a place in NDJSON that reading can start from.
type startAt struct {
	Event  uint64 `json:"event"`
	Line   int    `json:"line"`
	Offset int64  `json:"offset"`
}

// open begins reading at from, which has to be the beginning for JSON. The
// format that it returns is how requests hold the events.
func (in *sendInput) open(format string, maxEvent int, from startAt) (eventReader, event.Format, error) {
	in.read.Store(0)
	raw := in.stdin
	var file *os.File
	if raw == nil {
		f, err := os.Open(in.path)
		if err != nil {
			return nil, 0, err
		}
		file, raw = f, f
	}
	s := &source{input: in, file: file}
	s.buf = bufio.NewReaderSize(&countingReader{raw, &in.read}, 64<<10)
	if err := s.decompress(); err != nil {
		s.close()
		return nil, 0, err
	}
	if bom, _ := s.buf.Peek(3); string(bom) == "\ufeff" {
		s.buf.Discard(3) // it belongs to the file and not to its first event
		s.bom = 3
	}
	if format == "auto" {
		format = s.guess(in.name, maxEvent)
	}
	if format == "json" {
		return newValueReader(s, maxEvent), event.JSON, nil
	}
	if from.Offset > 0 {
		if err := s.skip(from.Offset); err != nil {
			s.close()
			return nil, 0, err
		}
	}
	line := max(1, from.Line)
	return &lineReader{source: s, max: maxEvent, line: line, offset: max(from.Offset, s.bom)}, event.NDJSON, nil
}

// source is an input's bytes, decompressed.
type source struct {
	input *sendInput
	file  *os.File
	buf   *bufio.Reader
	zstd  *zstd.Decoder
	plain bool
	bom   int64
}

func (s *source) close() {
	if s.zstd != nil {
		s.zstd.Close()
	}
	if s.file != nil {
		s.file.Close()
	}
}

// decompress looks at the first bytes, whatever the name says.
func (s *source) decompress() error {
	head, err := s.buf.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(s.buf)
		if err != nil {
			return fmt.Errorf("not valid gzip: %w", err)
		}
		s.buf = bufio.NewReaderSize(r, 64<<10)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// 128 MiB is what zstd --long asks for; more is refused.
		r, err := zstd.NewReader(s.buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return fmt.Errorf("not valid zstd: %w", err)
		}
		s.zstd = r
		s.buf = bufio.NewReaderSize(r, 64<<10)
	default:
		s.plain = true
	}
	return nil
}

// skip goes to a byte of the decompressed input, past its BOM if it has one.
func (s *source) skip(offset int64) error {
	if s.plain && s.file != nil && s.input.regular {
		if _, err := s.file.Seek(offset, io.SeekStart); err != nil {
			return err
		}
		s.input.read.Store(offset)
		s.buf.Reset(&countingReader{s.file, &s.input.read})
		return nil
	}
	_, err := io.CopyN(io.Discard, s.buf, offset-s.bom)
	return err
}

// guess tells NDJSON from JSON: an array is JSON, and so is an object whose
// first line is not all of it.
func (s *source) guess(name string, maxEvent int) string {
	for ext := filepath.Ext(name); ext != ""; ext = filepath.Ext(name) {
		switch strings.ToLower(ext) {
		case ".ndjson", ".jsonl":
			return "ndjson"
		}
		name = strings.TrimSuffix(name, ext)
	}
	// One byte more at a time, so that a stream is not waited for in vain.
	s.buf = bufio.NewReaderSize(s.buf, max(maxEvent, 4096))
	for {
		_, err := s.buf.Peek(s.buf.Buffered() + 1)
		head, _ := s.buf.Peek(s.buf.Buffered())
		head = bytes.TrimLeft(head, " \t\r\n")
		if len(head) > 0 && head[0] == '[' {
			return "json"
		}
		line, _, whole := bytes.Cut(head, []byte{'\n'})
		if whole || err != nil || len(head) > 0 && head[0] != '{' {
			if err == bufio.ErrBufferFull || !endsEarly(line) {
				return "ndjson"
			}
			return "json"
		}
	}
}

// endsEarly reports whether line is the beginning of a JSON value.
func endsEarly(line []byte) bool {
	var syntax *json.SyntaxError
	var value json.RawMessage
	err := json.Unmarshal(line, &value)
	return errors.As(err, &syntax) && strings.Contains(syntax.Error(), "unexpected end")
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n.Add(int64(n))
	return n, err
}
