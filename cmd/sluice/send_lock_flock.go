//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package main

import (
	"errors"
	"os"
	"syscall"
)

// flock locks a file for this process alone, without waiting: errLocked says
// that another has it. The lock ends with f, and so with the process.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case nil:
			return nil
		case syscall.EINTR:
			continue
		case syscall.EWOULDBLOCK:
			return errLocked
		case syscall.ENOLCK: // a network file system without its lock manager
			return errors.Join(errors.ErrUnsupported, err)
		}
		return err
	}
}
