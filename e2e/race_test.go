//go:build race

package e2e

// raced says that the tests, and so the binary, are built with the race
// detector, which takes several times the memory and time.
const raced = true
