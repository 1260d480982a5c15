package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// lockSuffix follows the name of a state file in that of its lock.
const lockSuffix = ".lock"

// errLocked is what a flock returns when another process has the file locked.
var errLocked = errors.New("locked")

// sendLock is a state file that is taken: no other `sluice send` goes on from
// it meanwhile. It is a file beside the state, which is itself replaced at every
// save, with the number of the process in it.
//
// The system drops the lock when the process ends, however it ends. A file
// without a lock on it is of a process that was killed, and means nothing.
type sendLock struct{ file *os.File }

// lockedError says who has a lock.
type lockedError struct {
	path string
	pid  int // 0: it had not yet said
}

func (e *lockedError) Error() string {
	who := "another process"
	if e.pid > 0 {
		who = "process " + strconv.Itoa(e.pid)
	}
	return fmt.Sprintf("%s is sending from the same state file (it has locked %s): wait until it has ended, or interrupt it, and run this again", who, e.path)
}

// takeLock locks a file, which it makes, by means of flock. The error is a
// *lockedError if someone has it, and is errors.ErrUnsupported where there are
// no locks.
func takeLock(path string, flock func(*os.File) error) (*sendLock, error) {
	// Again, when who had it has removed the file between opening and locking:
	// what is locked then is a file that nobody else will find.
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		switch err := flock(f); {
		case errors.Is(err, errLocked):
			defer f.Close()
			return nil, &lockedError{path, lockOwner(f)}
		case err != nil:
			f.Close()
			if errors.Is(err, errors.ErrUnsupported) {
				os.Remove(path) // no one can have locked it
			}
			return nil, fmt.Errorf("%s cannot be locked: %w", path, err)
		}
		if isAt(f, path) {
			l := &sendLock{f}
			if err := l.sign(); err != nil {
				l.release()
				return nil, err
			}
			return l, nil
		}
		f.Close()
	}
	return nil, &lockedError{path: path}
}

// isAt reports whether f is the file that path names.
func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// sign writes into the file whose it is.
func (l *sendLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockOwner returns the process that has signed a lock, 0 if none has.
func lockOwner(f *os.File) int {
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(b)))
	return pid
}

// release gives the lock back. The file goes first: once unlocked it may be
// another's.
func (l *sendLock) release() {
	os.Remove(l.file.Name())
	l.file.Close()
}
