package local

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sluice/sinks"
)

// TestARealDiskRunsFull fills a small tmpfs, with and without a reserve, and
// then makes room.
func TestARealDiskRunsFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk takes root")
	}
	for name, reserve := range map[string]int64{"with a reserve": 4 << 20, "to the last byte": -1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
				t.Skipf("mount: %v", err)
			}
			t.Cleanup(func() { // after the store is closed
				if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openAt(t, Config{Dir: filepath.Join(dir, "store"), MemTable: 512 << 10, MinFree: reserve})
			sink := s.Tenant("acme", 0)
			acked := 0
			var full error
			for full == nil && acked < 2000 {
				if full = tryWrite(sink, 3*time.Second, heavy(acked)); full == nil {
					acked++
				}
			}
			if full == nil || sinks.IsPermanent(full) {
				t.Fatalf("after %d events: %v; want a retryable error", acked, full)
			}
			t.Logf("full after %d events: %v", acked, full)
			t.Logf("the probe says: %v", s.Probe(t.Context()))
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a write once there is room", func() bool {
				return tryWrite(sink, 3*time.Second, heavy(acked)) == nil
			})
			if got := len(stored(t, s, "acme")); got != acked+1 {
				t.Errorf("%d events are stored of %d acknowledged ones", got, acked+1)
			}
		})
	}
}
