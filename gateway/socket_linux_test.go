//go:build !race

package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns a socket and the client at its other end.
func pair(t *testing.T) (net.Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := newSocket(accepted)
	if _, ok := s.(*socket); !ok {
		t.Fatalf("a TCP connection became a %T", s)
	}
	t.Cleanup(func() { _, _ = s.Close(), client.Close() })
	return s, client.(*net.TCPConn)
}

func TestSocketCarriesMoreThanItsBuffers(t *testing.T) {
	s, client := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB: writes have to wait
	back := make(chan error, 1)
	go func() {
		_, err := io.Copy(client, client) // an echo
		_ = client.CloseWrite()
		back <- err
	}()
	wrote := make(chan error, 1)
	go func() {
		n, err := s.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		if err == nil {
			err = s.(interface{ CloseWrite() error }).CloseWrite()
		}
		wrote <- err
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes and %v, want the %d that were sent and the end", len(got), err, len(sent))
	}
	if err := <-wrote; err != nil {
		t.Errorf("write: %v", err)
	}
	if err := <-back; err != nil {
		t.Errorf("echo: %v", err)
	}
}

// What goes wrong is said as net.TCPConn says it.
func TestSocketErrors(t *testing.T) {
	buf := make([]byte, 16)
	for _, row := range []struct {
		name string
		do   func(t *testing.T, s net.Conn, client *net.TCPConn) error
		want error
	}{
		{"the end", func(_ *testing.T, s net.Conn, client *net.TCPConn) error {
			_ = client.CloseWrite()
			_, err := s.Read(buf)
			return err
		}, io.EOF},
		{"a deadline that is over", func(_ *testing.T, s net.Conn, _ *net.TCPConn) error {
			_ = s.SetReadDeadline(time.Now().Add(-time.Second))
			_, err := s.Read(buf)
			return err
		}, os.ErrDeadlineExceeded},
		{"a deadline while waiting", func(_ *testing.T, s net.Conn, _ *net.TCPConn) error {
			_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := s.Read(buf)
			return err
		}, os.ErrDeadlineExceeded},
		{"a deadline of a write that waits", func(_ *testing.T, s net.Conn, _ *net.TCPConn) error {
			_ = s.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			for {
				if _, err := s.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
			}
		}, os.ErrDeadlineExceeded},
		{"a reset", func(t *testing.T, s net.Conn, client *net.TCPConn) error {
			if err := client.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			_ = client.Close()
			_, err := s.Read(buf)
			return err
		}, syscall.ECONNRESET},
		{"a closed socket", func(_ *testing.T, s net.Conn, _ *net.TCPConn) error {
			_ = s.Close()
			_, err := s.Write(buf)
			return err
		}, net.ErrClosed},
		{"closed while waiting", func(_ *testing.T, s net.Conn, client *net.TCPConn) error {
			read := make(chan error, 1)
			go func() {
				if _, err := s.Read(buf[:1]); err != nil {
					read <- err
					return
				}
				_, err := s.Read(buf)
				read <- err
			}()
			_, _ = client.Write([]byte("x"))
			_ = s.Close()
			return <-read
		}, net.ErrClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, client := pair(t)
			err := row.do(t, s, client)
			if !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			var op *net.OpError
			if row.want != io.EOF && (!errors.As(err, &op) || op.Op != "read" && op.Op != "write") {
				t.Errorf("%v is a %T, want a *net.OpError of a read or a write", err, err)
			}
		})
	}
}
