package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// PIDProbe looks at a process and all it has started, in /proc.
type PIDProbe struct{ PID int }

// clockTicks is the unit of processor times in /proc/N/stat: USER_HZ, which is 100
// on every architecture that Go has.
const clockTicks = 100

// NewPIDProbe returns a probe of a process that exists.
func NewPIDProbe(pid int) (*PIDProbe, error) {
	if _, err := readStat(pid); err != nil {
		return nil, fmt.Errorf("no process %d can be seen: %w", pid, err)
	}
	return &PIDProbe{pid}, nil
}

// Look implements Probe.
func (p *PIDProbe) Look(context.Context) (Figures, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return Figures{}, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return Figures{}, err
	}
	stats, children := map[int]stat{}, map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			stats[pid] = s
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	if _, ok := stats[p.PID]; !ok {
		return Figures{}, fmt.Errorf("process %d is no more", p.PID)
	}
	var f Figures
	for tree := []int{p.PID}; len(tree) > 0; tree = tree[1:] {
		s := stats[tree[0]]
		f.CPU += s.cpu
		f.RSS += s.rss
		if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", tree[0])); err == nil {
			f.Files += len(fds)
		}
		tree = append(tree, children[tree[0]]...)
	}
	return f, nil
}

// stat is one line of /proc/N/stat.
type stat struct {
	parent int
	cpu    time.Duration // its own, and of its children that have ended
	rss    uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, errors.Unwrap(err)
	}
	return parseStat(b)
}

// parseStat reads the fields that proc_pid_stat(5) numbers 4, 14 to 17 and 24.
// The name, field 2, may hold anything: the fields begin behind its last bracket.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, errors.New("not a process status")
	}
	fields := strings.Fields(string(b[i+1:]))
	const first = 3 // number of fields[0]
	if len(fields) <= 24-first {
		return stat{}, errors.New("not a process status")
	}
	var s stat
	var ticks int64
	for n := 14; n <= 17; n++ {
		v, err := strconv.ParseInt(fields[n-first], 10, 64)
		if err != nil {
			return stat{}, err
		}
		ticks += v
	}
	s.cpu = time.Duration(ticks) * time.Second / clockTicks
	pages, err := strconv.ParseUint(fields[24-first], 10, 64)
	if err != nil {
		return stat{}, err
	}
	s.rss = pages * uint64(os.Getpagesize())
	if s.parent, err = strconv.Atoi(fields[4-first]); err != nil {
		return stat{}, err
	}
	return s, nil
}
