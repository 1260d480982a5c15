//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package main

import (
	"errors"
	"os"
)

// flock is for systems that have none.
func flock(*os.File) error { return errors.ErrUnsupported }
