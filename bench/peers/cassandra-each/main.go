// Command cassandra-each is the ingestion server that inserts each event by itself,
// as the writer actor of many a SMACK stack does: fasthttp, and gocql with prepared,
// token-aware inserts at QUORUM, as many at a time as the cluster takes best. It
// answers when all inserts of a request are acknowledged. SIGTERM stops it.
//
//	cassandra-each --addr 127.0.0.1:9000 --hosts 127.0.0.1 --keyspace peers
package main

import (
	"flag"
	"log"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/bench/peers/intake"
	"sluice/bench/peers/rows"
)

func main() {
	log.SetFlags(0)
	var o rows.Options
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	flight := flag.Int("in-flight", 512, "inserts that wait for an answer, at most")
	o.Flags(flag.CommandLine)
	flag.Parse()
	table, err := rows.Open(o)
	if err != nil {
		log.Fatal("cassandra-each: ", err)
	}
	s := &server{table: table, jobs: make(chan job)}
	var inserters sync.WaitGroup
	for range *flight {
		inserters.Go(s.insert)
	}
	err = intake.Serve(*addr, s.events)
	close(s.jobs) // nobody sends any more: every request has its answer
	inserters.Wait()
	table.Session.Close()
	if err != nil {
		log.Fatal("cassandra-each: ", err)
	}
}

type server struct {
	table *rows.Table
	jobs  chan job
}

// A job is one row to be inserted on behalf of a request.
type job struct {
	row *rows.Row
	of  *request
}

// A request waits for its inserts.
type request struct {
	waiting sync.WaitGroup
	mu      sync.Mutex
	err     error
}

func (r *request) done(err error) {
	if err != nil {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
	r.waiting.Done()
}

// insert inserts rows, one after the other, until there are no more jobs.
func (s *server) insert() {
	for j := range s.jobs {
		j.of.done(s.table.Session.Query(s.table.Insert, s.table.Args(j.row)...).Exec())
	}
}

var scanners = sync.Pool{New: func() any { return new(intake.Scanner) }}

func (s *server) events(ctx *fasthttp.RequestCtx) {
	list, err := read(ctx)
	if err != nil {
		intake.Refuse(ctx, fasthttp.StatusBadRequest, err)
		return
	}
	var r request
	r.waiting.Add(len(list))
	for i := range list {
		s.jobs <- job{&list[i], &r}
	}
	r.waiting.Wait()
	if r.err != nil {
		intake.Refuse(ctx, fasthttp.StatusServiceUnavailable, r.err)
		return
	}
	intake.Accept(ctx, len(list))
}

// read makes rows of the request's events. Their data is of fasthttp's memory,
// which is the handler's until it returns.
func read(ctx *fasthttp.RequestCtx) ([]rows.Row, error) {
	s := scanners.Get().(*intake.Scanner)
	defer scanners.Put(s)
	s.Reset(ctx)
	list := make([]rows.Row, 0, s.Count())
	now := time.Now().UnixMicro()
	for s.Next() {
		ts, err := s.Millis()
		if err != nil {
			return nil, err
		}
		list = append(list, rows.Row{ID: string(s.ID), Type: string(s.Type), User: string(s.User), TS: ts, Received: now, Data: s.Raw})
	}
	return list, s.Err()
}
