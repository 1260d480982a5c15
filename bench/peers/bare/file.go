package main

import (
	"bytes"
	"errors"
	"os"
)

// file stores events in a file, a line each. One goroutine appends: it takes every
// request that waits, writes them as one and syncs once.
type file struct {
	f       *os.File
	waiting chan appended
	ended   chan struct{} // closed when the goroutine is no more
}

// appended is a request on its way into the file.
type appended struct {
	*request
	n int
}

func newFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	s := &file{f: f, waiting: make(chan appended, 4096), ended: make(chan struct{})}
	go s.run()
	return s, nil
}

func (s *file) store(r *request, n int) error {
	r.waiting.Add(1)
	s.waiting <- appended{r, n}
	return r.wait()
}

// run appends until waiting is closed.
func (s *file) run() {
	defer close(s.ended)
	var group []appended
	var text bytes.Buffer
	for first := range s.waiting {
		group = append(group[:0], first)
		for more := true; more; {
			select {
			case next, ok := <-s.waiting:
				if more = ok; ok {
					group = append(group, next)
				}
			default:
				more = false
			}
		}
		text.Reset()
		for _, a := range group {
			for i := range a.messages[:a.n] {
				text.Write(a.messages[i].value)
				text.WriteByte('\n')
			}
		}
		_, err := s.f.Write(text.Bytes())
		if err == nil {
			err = s.f.Sync()
		}
		for _, a := range group {
			a.done(err)
		}
	}
}

func (s *file) close() error {
	close(s.waiting)
	<-s.ended
	return errors.Join(s.f.Sync(), s.f.Close())
}
