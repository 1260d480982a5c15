package main

import "testing"

func TestTheCollectorLeavesTheSameRoomWhateverLives(t *testing.T) {
	for _, tc := range []struct {
		name string
		live uint64
		want int
	}{
		{"at the start nothing lives, and there is no hurry", 0, 400},
		{"a small heap may grow to five times its size", 4 << 20, 400},
		{"as much garbage as the headroom", 64 << 20, 100},
		{"less in proportion as more lives", 256 << 20, 25},
		{"but not so little that it does nothing else", 8 << 30, 20},
	} {
		if got := collectorPercent(tc.live); got != tc.want {
			t.Errorf("%s: GOGC %d, want %d", tc.name, got, tc.want)
		}
	}
}
