package cassandra

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"sluice/sinks"
)

// maxParallel bounds the requests that one Write has under way.
const maxParallel = 4

// errBehind is the fate of a row that was not tried, because a row before it
// failed and is tried again.
var errBehind = errors.New("cassandra: not written, because what comes before it was not")

// writer writes rows through one session, on behalf of one Write.
type writer struct {
	cluster *Cluster
	session *gocql.Session
	ctx     context.Context
}

// write stores the rows and returns what became of each: nil, Permanent, or an
// error that another attempt may cure.
func (w *writer) write(rows []insert) []error {
	errs := make([]error, len(rows))
	chunks := plan(rows, w.cluster.cfg.MaxBatchBytes)
	if len(chunks) == 1 {
		w.store(rows, chunks[0].rows, errs)
		return errs
	}
	// Chunks are begun in their order, so those that one waits for are under way.
	done := make([]chan struct{}, len(chunks))
	slots := make(chan struct{}, maxParallel)
	for i := range chunks {
		done[i] = make(chan struct{})
		slots <- struct{}{}
		go func() {
			defer func() { close(done[i]); <-slots }()
			for _, before := range chunks[i].after {
				<-done[before]
				if mayCome(errs, chunks[before].rows) {
					fail(errs, chunks[i].rows, errBehind)
					return
				}
			}
			w.store(rows, chunks[i].rows, errs)
		}()
	}
	for i := range done {
		<-done[i]
	}
	return errs
}

// mayCome reports whether one of the rows failed and will be tried again.
func mayCome(errs []error, rows []int) bool {
	for _, i := range rows {
		if errs[i] != nil && !sinks.IsPermanent(errs[i]) {
			return true
		}
	}
	return false
}

func fail(errs []error, rows []int, err error) {
	for _, i := range rows {
		errs[i] = err
	}
}

// store writes the rows of one partition as one request. When the server refuses
// what they say it halves them until it has found which ones, in order.
func (w *writer) store(rows []insert, these []int, errs []error) {
	if size := rows[these[0]].size; size > maxRowBytes { // and so alone
		errs[these[0]] = sinks.Permanent(fmt.Errorf("cassandra: a row of %d bytes, at most %d are possible", size, maxRowBytes))
		return
	}
	err := w.send(rows, these)
	switch {
	case err == nil:
	case !refusesData(err):
		fail(errs, these, explain(w.ctx, w.cluster.cfg, err))
	case len(these) == 1:
		errs[these[0]] = w.refused(err)
	default:
		first, second := these[:len(these)/2], these[len(these)/2:]
		w.store(rows, first, errs)
		if mayCome(errs, first) {
			fail(errs, second, errBehind)
			return
		}
		w.store(rows, second, errs)
	}
}

// refused tells a row that is not good from a table that is not: the server
// says "invalid" to both, and an operator can cure the second.
func (w *writer) refused(err error) error {
	schemaErr := checkSchema(withOp(w.ctx, OpSchema), w.session, w.cluster.cfg)
	if schemaErr != nil {
		w.cluster.outdated()
		return explain(w.ctx, w.cluster.cfg, schemaErr)
	}
	return sinks.Permanent(fmt.Errorf("cassandra: the server refuses the event: %w", err))
}

// send writes rows of one partition: one alone as an insert, several as an
// unlogged batch, which is one mutation and so visible at once.
func (w *writer) send(rows []insert, these []int) error {
	if len(these) == 1 {
		r := &rows[these[0]]
		return w.session.Query(r.cql, r.args...).WithContext(w.ctx).Exec()
	}
	b := w.session.NewBatch(gocql.UnloggedBatch).WithContext(w.ctx)
	b.Entries = make([]gocql.BatchEntry, len(these))
	for n, i := range these {
		// Entries do not inherit the session's idempotence.
		b.Entries[n] = gocql.BatchEntry{Stmt: rows[i].cql, Args: rows[i].args, Idempotent: true}
	}
	return w.session.ExecuteBatch(b)
}
