package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// sluicePath is where the sluice under test is.
var sluicePath string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run is apart from TestMain so that what it defers happens.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluicePath = os.Getenv("SLUICE_TEST_BINARY")
	if sluicePath == "" {
		sluicePath = filepath.Join(dir, "sluice")
		if err := build(sluicePath, raced); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	dropKeyspaces()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left over:", err)
			return 1
		}
	}
	return code
}

func build(path string, race bool) error {
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "sluice/cmd/sluice")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building sluice: %w\n%s", err, out)
	}
	return nil
}

// unraced returns a sluice without the race detector, for tests of what it
// takes: memory and time.
var unraced = sync.OnceValues(func() (string, error) {
	if !raced || os.Getenv("SLUICE_TEST_BINARY") != "" {
		return sluicePath, nil
	}
	path := strings.TrimSuffix(sluicePath, ".exe") + "-unraced"
	return path, build(path, false)
})
