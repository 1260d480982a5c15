package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/event"
)

const childEnv = "SLUICE_LOCAL_TEST_CHILD"

func getenvChild() string { return os.Getenv(childEnv) }

// childWrites writes numbered events for ever, several writers at once, and
// prints the number of each once it is acknowledged.
func childWrites(dir string) {
	s, err := Open(Config{Dir: dir, MemTable: 256 << 10}, nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	sink := s.Tenant("acme", 0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := w; ; n += 8 {
				events := make([]event.Event, 4)
				for i := range events {
					events[i] = numbered(n*4 + i)
				}
				if err := sink.Write(context.Background(), batchOf(events...)); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				mu.Lock()
				for i := range events {
					fmt.Println(n*4 + i)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestWhatIsAcknowledgedSurvivesKill9 kills a process in the middle of its
// writes, three times on one directory.
func TestWhatIsAcknowledgedSurvivesKill9(t *testing.T) {
	dir := t.TempDir()
	acked := map[int]bool{}
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			// Meanwhile nobody else gets in.
			bufio.NewReader(out).ReadString('\n')
			if s, err := Open(Config{Dir: dir}, nil); err == nil {
				closeStore(t, s)
				t.Error("a second process opened the directory")
			} else if !strings.Contains(err.Error(), "in use already") {
				t.Errorf("a second process is told: %v", err)
			}
		}
		lines := bufio.NewScanner(out)
		for seen := 0; lines.Scan(); seen++ {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("the child says: %s", lines.Text())
			}
			acked[n] = true
			if seen == 1000*(round+1) {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()

		s := openAt(t, Config{Dir: dir})
		there := map[int]bool{}
		for _, e := range stored(t, s, "acme") {
			n, err := strconv.Atoi(strings.TrimPrefix(e.ID, "e-"))
			if err != nil {
				t.Fatal(err)
			}
			if want := numbered(n); string(e.Data) != string(want.Data) || e.TS != want.TS || e.User != want.User {
				t.Errorf("event %d is %+v, want %+v", n, e, want)
			}
			there[n] = true
		}
		lost := 0
		for n := range acked {
			if !there[n] {
				lost++
			}
		}
		t.Logf("round %d: %d acknowledged, %d stored", round, len(acked), len(there))
		if lost > 0 || len(acked) < 1000 {
			t.Errorf("round %d: %d of %d acknowledged events are lost", round, lost, len(acked))
		}
		closeStore(t, s)
	}
}
