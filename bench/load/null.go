package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// ServeNull answers every request on l as if all of its events had been accepted,
// without looking at them. What a load comes to against it is the limit of the
// generator. It returns when ctx has ended and all connections are closed.
func ServeNull(ctx context.Context, l net.Listener, batch int) error {
	body := fmt.Sprintf(`{"ack":"stored","accepted":%d,"duplicates":0,"rejected":0,"failed":0}`, batch)
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var conns sync.WaitGroup
	defer conns.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { l.Close() })
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		conns.Go(func() {
			unhook := context.AfterFunc(ctx, func() { conn.Close() })
			defer unhook()
			defer conn.Close()
			answerAll(conn, answer)
		})
	}
}

// answerAll reads requests and answers each.
func answerAll(conn net.Conn, answer []byte) {
	buf, n := make([]byte, 16<<10), 0
	for {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		k, err := conn.Read(buf[n:])
		if err != nil {
			return
		}
		n += k
		for {
			head := bytes.Index(buf[:n], []byte("\r\n\r\n"))
			if head < 0 {
				break
			}
			size := head + 4 + contentLength(buf[:head+2])
			if size > n {
				if size > len(buf) {
					buf = append(buf, make([]byte, size-len(buf))...)
				}
				if _, err := io.ReadFull(conn, buf[n:size]); err != nil {
					return
				}
				n = size
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
			n = copy(buf, buf[size:n])
		}
	}
}

// contentLength reads the header that the generator writes last.
func contentLength(head []byte) int {
	i := bytes.LastIndexByte(head, ':')
	if i < 0 {
		return 0
	}
	n, _ := digits(bytes.TrimSpace(head[i+1:]))
	return n
}
