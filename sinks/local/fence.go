package local

import (
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fence is the file system of one opening of the store. It lets everything
// through until the first failure to write the log or the manifest, and from
// then on changes nothing on disk any more, and says to Pebble that all is
// well:
//
//	open ──an error of a log, manifest, marker or directory──▶ shut, for good
//	     ──fail(err)─────────────────────────────────────────▶
//
// Why: Pebble v2 answers such an error with Logger.Fatalf (and, where that
// returns, reports success), or with a panic while it holds the lock that Close
// needs, or tries again at once and for ever. With what is on disk as the last
// good write left it, it is as if the power had failed: the opening is closed
// and thrown away, and the next one recovers what was synced.
//
// Invariant: whoever asks failure after a call into Pebble and gets nil knows
// that every write and sync of that call has really been done.
//
// Tables are different: Pebble deals with their errors well (the flush or
// compaction is tried again, the events stay in the log), so those are passed
// on, after a pause, because the next try comes at once.
type fence struct {
	vfs.FS
	shut chan struct{} // closed at the first failure
	once sync.Once
	err  atomic.Pointer[error]

	// Held for reading by every operation that changes something, so that none is
	// under way any more once settle has returned.
	mu sync.RWMutex
}

// tablePause is how long Pebble waits between two tries to write a table.
const tablePause = 250 * time.Millisecond

func newFence(inner vfs.FS) *fence { return &fence{FS: inner, shut: make(chan struct{})} }

// failure returns why the fence is shut, nil while it is open.
func (f *fence) failure() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// fail shuts the fence. The first reason is kept.
func (f *fence) fail(err error) {
	f.once.Do(func() {
		f.err.Store(&err)
		close(f.shut)
	})
}

// settle waits until nothing that began before the fence was shut is under way.
func (f *fence) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

// change runs an operation that changes the disk, unless the fence is shut. It
// reports whether it was done; an error is for Pebble to see.
func (f *fence) change(name string, op func() error) (done bool, err error) {
	f.mu.RLock()
	shut := f.failure() != nil
	if !shut {
		err = op()
	}
	f.mu.RUnlock()
	if shut || err == nil {
		return !shut, nil
	}
	if !isTable(name) {
		f.fail(err)
		return false, nil
	}
	t := time.NewTimer(tablePause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.shut:
	}
	return false, err
}

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// file opens a file for writing; behind a shut fence it is one that forgets.
func (f *fence) file(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	done, err := f.change(name, func() (err error) { file, err = open(); return err })
	switch {
	case err != nil:
		return nil, err
	case !done:
		return &fencedFile{File: void{name: name}, f: f, name: name}, nil
	}
	return &fencedFile{File: file, f: f, name: name}, nil
}

func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *fence) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

// OpenDir opens a directory to sync it.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *fence) Link(old, name string) error {
	_, err := f.change(name, func() error { return f.FS.Link(old, name) })
	return err
}

func (f *fence) Rename(old, name string) error {
	_, err := f.change(name, func() error { return f.FS.Rename(old, name) })
	return err
}

func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	_, err := f.change(dir, func() error { return f.FS.MkdirAll(dir, perm) })
	return err
}

// Remove and RemoveAll pass errors on: what could not be removed is in the way
// of nobody, and is tried again when the store is opened.
func (f *fence) Remove(name string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.failure() != nil {
		return nil
	}
	return f.FS.Remove(name)
}

func (f *fence) RemoveAll(name string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.failure() != nil {
		return nil
	}
	return f.FS.RemoveAll(name)
}

// Lock does nothing: the Store itself holds the lock, longer than any opening.
func (f *fence) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (f *fence) Unwrap() vfs.FS { return f.FS }

// fencedFile is a file that was opened for writing.
type fencedFile struct {
	vfs.File
	f    *fence
	name string
}

func (w *fencedFile) Write(p []byte) (int, error) {
	_, err := w.f.change(w.name, func() error { _, err := w.File.Write(p); return err })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *fencedFile) WriteAt(p []byte, at int64) (int, error) {
	_, err := w.f.change(w.name, func() error { _, err := w.File.WriteAt(p, at); return err })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *fencedFile) Sync() error {
	_, err := w.f.change(w.name, w.File.Sync)
	return err
}

func (w *fencedFile) SyncData() error {
	_, err := w.f.change(w.name, w.File.SyncData)
	return err
}

func (w *fencedFile) SyncTo(length int64) (full bool, err error) {
	_, err = w.f.change(w.name, func() error { full, err = w.File.SyncTo(length); return err })
	return full, err
}

// Preallocate only makes writes cheaper: that it fails is no failure.
func (w *fencedFile) Preallocate(offset, length int64) error {
	_ = w.File.Preallocate(offset, length)
	return nil
}

// Close closes what is really open, behind a shut fence too.
func (w *fencedFile) Close() error {
	err := w.File.Close()
	if err != nil && !isTable(w.name) {
		w.f.fail(err)
		return nil
	}
	return err
}

// void is a file that was never opened.
type void struct {
	vfs.File
	name string
}

func (void) Close() error                           { return nil }
func (void) Write(p []byte) (int, error)            { return len(p), nil }
func (void) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (void) Read([]byte) (int, error)               { return 0, io.EOF }
func (void) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (void) Preallocate(int64, int64) error         { return nil }
func (void) Prefetch(int64, int64) error            { return nil }
func (void) Sync() error                            { return nil }
func (void) SyncData() error                        { return nil }
func (void) SyncTo(int64) (bool, error)             { return true, nil }
func (void) Fd() uintptr                            { return vfs.InvalidFd }
func (v void) Stat() (vfs.FileInfo, error)          { return voidInfo{name: v.name}, nil }

type voidInfo struct{ name string }

func (i voidInfo) Name() string         { return i.name }
func (voidInfo) Size() int64            { return 0 }
func (voidInfo) Mode() fs.FileMode      { return 0 }
func (voidInfo) ModTime() time.Time     { return time.Time{} }
func (voidInfo) IsDir() bool            { return false }
func (voidInfo) Sys() any               { return nil }
func (voidInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
