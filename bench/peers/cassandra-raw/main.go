//go:build unix

// Command cassandra-raw writes rows to Cassandra as fast as gocql can: unlogged
// batches at QUORUM, each of one partition and below the 50 KB that a node takes,
// so many under way at a time. It takes nothing in and checks nothing: it is the
// limit that a gateway can come near to. It prints what it did as one line of JSON.
//
//	cassandra-raw --hosts 127.0.0.1 --keyspace peers --for 8s
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gocql/gocql"

	"sluice/bench/peers/rows"
)

// result is what is printed.
type result struct {
	Rows       int64   `json:"rows"`   // acknowledged
	Failed     int64   `json:"failed"` // of batches whose outcome is an error
	Seconds    float64 `json:"seconds"`
	RowsPerS   float64 `json:"rows_per_second"`
	CPUPerRow  float64 `json:"cpu_us_per_row"` // of this process
	BatchRows  int     `json:"batch"`
	InFlight   int     `json:"in_flight"`
	FirstError string  `json:"first_error,omitempty"`
}

func main() {
	log.SetFlags(0)
	var o rows.Options
	o.Flags(flag.CommandLine)
	l := loop{}
	flag.IntVar(&l.batch, "batch", 64, "rows of a batch")
	flag.IntVar(&l.size, "size", 500, "bytes of a row's data")
	flag.IntVar(&l.users, "users", 10_000, "users that rows are of")
	flag.Float64Var(&l.zipf, "zipf", 0, "exponent of the users' distribution; 0: uniform")
	flight := flag.Int("in-flight", 32, "batches under way")
	long := flag.Duration("for", 8*time.Second, "how long is measured")
	warmup := flag.Duration("warmup", 3*time.Second, "load before that, not counted")
	flag.Parse()
	if l.batch < 1 || l.batch*(l.size+100) > 50<<10 || l.size < 1 || l.users < 1 || *flight < 1 {
		log.Fatal("cassandra-raw: want at least one row, user and batch, and batches below 50 KB with 100 bytes a row beside the data")
	}
	table, err := rows.Open(o)
	if err != nil {
		log.Fatal("cassandra-raw: ", err)
	}
	defer table.Session.Close()
	l.table, l.byShard = table, o.PartitionBy == rows.ByShard
	l.prepare()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if r := l.run(ctx, *flight, *warmup); r.Rows == 0 {
		log.Fatal("cassandra-raw: no row was stored: ", r.FirstError)
	}
	if err := json.NewEncoder(os.Stdout).Encode(l.run(ctx, *flight, *long)); err != nil {
		log.Fatal("cassandra-raw: ", err)
	}
}

// loop is the load.
type loop struct {
	table       *rows.Table
	byShard     bool
	batch, size int
	users       int
	zipf        float64

	names  []string
	shards map[int][]string // users by shard
	sums   []float64        // of the users' weights
	serial atomic.Int64     // of ids
}

func (l *loop) prepare() {
	l.shards = make(map[int][]string)
	sum := 0.0
	for i := range l.users {
		name := fmt.Sprintf("u%d", i)
		l.names = append(l.names, name)
		shard := rows.Shard(name)
		l.shards[shard] = append(l.shards[shard], name)
		sum += math.Pow(float64(i+1), -l.zipf)
		l.sums = append(l.sums, sum)
	}
}

// run keeps so many batches under way for so long, or until ctx is over.
func (l *loop) run(ctx context.Context, flight int, long time.Duration) result {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var stored, failed atomic.Int64
	var first atomic.Pointer[error]
	var writers sync.WaitGroup
	began, cpu := time.Now(), processorTime()
	for range flight {
		writers.Go(func() {
			data := make([]byte, l.size)
			for ctx.Err() == nil {
				if err := l.write(data); err != nil {
					failed.Add(int64(l.batch))
					first.CompareAndSwap(nil, &err)
				} else {
					stored.Add(int64(l.batch))
				}
			}
		})
	}
	writers.Wait()
	r := result{Rows: stored.Load(), Failed: failed.Load(), Seconds: time.Since(began).Seconds(), BatchRows: l.batch, InFlight: flight}
	r.RowsPerS = float64(r.Rows) / r.Seconds
	if r.Rows > 0 {
		r.CPUPerRow = float64((processorTime() - cpu).Microseconds()) / float64(r.Rows)
	}
	if err := first.Load(); err != nil {
		r.FirstError = (*err).Error()
	}
	return r
}

// write writes one batch of one partition.
func (l *loop) write(data []byte) error {
	b := l.table.Session.NewBatch(gocql.UnloggedBatch)
	now := time.Now()
	among := l.among()
	for range l.batch {
		row := rows.Row{
			ID: fmt.Sprintf("r%d", l.serial.Add(1)), Type: "bench.event", User: among[rand.IntN(len(among))],
			TS: now.UnixMilli(), Received: now.UnixMicro(), Data: data,
		}
		b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: l.table.Insert, Args: l.table.Args(&row), Idempotent: true})
	}
	return l.table.Session.ExecuteBatch(b)
}

// among returns the users of whom a batch of one partition may have rows: one user,
// or those of the shard of one.
func (l *loop) among() []string {
	i := sort.SearchFloat64s(l.sums, rand.Float64()*l.sums[len(l.sums)-1])
	if l.byShard {
		return l.shards[rows.Shard(l.names[i])]
	}
	return l.names[i : i+1]
}

// processorTime returns what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(errors.Join(errors.New("getrusage failed for this process"), err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
