//go:build race

package gateway

// raceEnabled: the race detector allows 8,128 goroutines and is slow.
const raceEnabled = true
