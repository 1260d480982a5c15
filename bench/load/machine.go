package load

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"sluice/bench/result"
)

// thisMachine describes where the generator runs. What the system does not say is
// left out.
func thisMachine(version string) result.Machine {
	m := result.Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Version: version}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if first, _, ok := strings.Cut(string(b), " "); ok {
			m.Load1, _ = strconv.ParseFloat(first, 64) // 0 for what is no number
		}
	}
	return m
}
