package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestIdleConnections holds 20,000 of them, half of which never said a word,
// and wants the next client to be served as ever, for little memory each. The
// other ends are in a process of their own, which has its own limit of files.
func TestIdleConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 20,000 connections")
	}
	n := affordable(20_000)
	if raceEnabled {
		n = min(n, 3_000)
	}
	p := start(t, func(_ *port, o *Options) { o.IdleTimeout, o.HeaderTimeout = time.Minute, time.Minute })
	before := memory()

	clients := exec.Command(os.Args[0])
	clients.Env = append(os.Environ(), idleClients+"="+p.addr, idleClients+"_N="+strconv.Itoa(n))
	clients.Stderr = os.Stderr
	hold, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Errorf("the clients said %q", line)
	}
	eventually(t, "all are accepted", func() bool { return p.srv.Connections() == n })
	each := (memory() - before) / n
	t.Logf("%d connections, %d bytes each", n, each)
	if !raceEnabled && each > 24<<10 {
		t.Errorf("%d bytes a connection", each)
	}
	began := time.Now()
	p.do("POST /v1/events", "", oneEvent).want(t, 200, "")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the next client waited %s", took)
	}
	_ = hold.Close()
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
}

const idleClients = "SLUICE_TEST_IDLE_CLIENTS"

// holdIdleConnections is the process of the clients, until its input ends.
func holdIdleConnections(addr string) int {
	n, _ := strconv.Atoi(os.Getenv(idleClients + "_N"))
	if affordable(n) < n {
		fmt.Println("cannot open", n, "connections")
		return 1
	}
	ask := request("POST /v1/events", "", oneEvent)
	buf := make([]byte, 1024)
	conns := make([]net.Conn, 0, n)
	for i := range n {
		// From many addresses: one has 28,000 ports, and others need some.
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}}
		c, err := from.Dial("tcp", addr)
		if err != nil {
			fmt.Printf("connection %d: %v\n", i, err)
			return 1
		}
		conns = append(conns, c)
		if i%2 == 0 {
			continue
		}
		_, _ = io.WriteString(c, ask)
		if k, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:k]), "HTTP/1.1 200 ") {
			fmt.Printf("connection %d: %v %q\n", i, err, buf[:k])
			return 1
		}
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(conns)
	return 0
}

// memory is what the process uses of what it has from the system, in bytes.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// affordable raises the limit of open files for n connections, and returns how
// many this process then may have.
func affordable(n int) int {
	const others = 300
	need := uint64(n + others)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return min(n, 200)
	}
	if limit.Cur < need {
		raised := syscall.Rlimit{Cur: need, Max: max(limit.Max, need)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) != nil {
			raised = syscall.Rlimit{Cur: min(need, limit.Max), Max: limit.Max}
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised)
		}
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	return min(n, int(limit.Cur)-others)
}
