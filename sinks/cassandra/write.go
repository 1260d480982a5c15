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

// writer writes rows on behalf of one Write.
type writer struct {
	limit int // bytes of a batch
	// send stores rows of one partition, at once or not at all as far as it can
	// tell. It must return soon after the Write's ctx is over.
	send func(rows []insert, these []int) error
	// failed is what an error of send means for the rows. refused is that of a
	// single row to which the server said that it is wrong.
	failed, refused func(error) error
}

// writer returns one that writes through a session.
func (c *Cluster) writer(ctx context.Context, session *gocql.Session) *writer {
	r := request{c, session, ctx}
	return &writer{c.cfg.MaxBatchBytes, r.send, r.failed, r.refused}
}

// write stores the rows and returns what became of each: nil, Permanent, or an
// error that another attempt may cure.
func (w *writer) write(rows []insert) []error {
	errs := make([]error, len(rows))
	chunks := plan(rows, w.limit)
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
		fail(errs, these, w.failed(err))
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

// request is the way of rows to the server.
type request struct {
	cluster *Cluster
	session *gocql.Session
	ctx     context.Context
}

func (r request) failed(err error) error { return explain(r.ctx, r.cluster.cfg, err) }

// refused tells a row that is not good from a table that is not: the server
// says "invalid" to both, and an operator can cure the second.
func (r request) refused(err error) error {
	schemaErr := checkSchema(withOp(r.ctx, OpSchema), r.session, r.cluster.cfg)
	if schemaErr != nil {
		r.cluster.outdated()
		return explain(r.ctx, r.cluster.cfg, schemaErr)
	}
	return sinks.Permanent(fmt.Errorf("cassandra: the server refuses the event: %w", err))
}

// send writes one row alone as an insert, several as an unlogged batch, which is
// one mutation and so visible at once.
func (r request) send(rows []insert, these []int) error {
	err := r.execute(rows, these)
	r.cluster.stranded(err)
	return err
}

func (r request) execute(rows []insert, these []int) error {
	if len(these) == 1 {
		row := &rows[these[0]]
		return r.session.Query(row.cql, row.args...).WithContext(r.ctx).Exec()
	}
	b := r.session.NewBatch(gocql.UnloggedBatch).WithContext(r.ctx)
	b.Entries = make([]gocql.BatchEntry, len(these))
	for n, i := range these {
		// Entries do not inherit the session's idempotence.
		b.Entries[n] = gocql.BatchEntry{Stmt: rows[i].cql, Args: rows[i].args, Idempotent: true}
	}
	return r.session.ExecuteBatch(b)
}
