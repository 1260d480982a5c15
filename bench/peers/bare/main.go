// Command bare is the ingestion server that an expert writes by hand in a day:
// fasthttp, fastjson and sarama's AsyncProducer, no actors, and no checks but that
// an event is an object with id, type, user and ts. It is what sluice is compared
// with, and so it is as fast as such a server can be.
//
//	bare --addr 127.0.0.1:9000 --brokers 127.0.0.1:9092 --topic events
//
// It answers 200 when every event of a request is stored: acknowledged by all
// replicas, or synced to a file with --mode file; with --mode none it is when they
// have been checked. SIGTERM stops it.
package main

import (
	"flag"
	"fmt"
	"log"
	"strings"

	"github.com/IBM/sarama"
	"github.com/valyala/fasthttp"

	"sluice/bench/peers/intake"
)

// A store takes the valid events of requests.
type store interface {
	// store returns when r.messages[:n] are stored, or are not. It keeps nothing of
	// them. After an error r is not used again.
	store(r *request, n int) error
	close() error // when all calls have returned
}

func main() {
	log.SetFlags(0)
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	mode := flag.String("mode", "kafka", "where events go: kafka, file or none")
	brokers := flag.String("brokers", "127.0.0.1:9092", "Kafka's addresses, with commas")
	topic := flag.String("topic", "events", "Kafka's topic")
	path := flag.String("file", "events.ndjson", "the file of --mode file")
	var compression sarama.CompressionCodec
	flag.TextVar(&compression, "compression", sarama.CompressionNone, "of what is sent to Kafka: none, gzip, snappy, lz4 or zstd")
	flag.Parse()

	var to store
	var err error
	switch *mode {
	case "kafka":
		to, err = newProducer(strings.Split(*brokers, ","), *topic, compression)
	case "file":
		to, err = newFile(*path)
	case "none":
		to = nowhere{}
	default:
		err = fmt.Errorf("--mode %s: want kafka, file or none", *mode)
	}
	if err != nil {
		log.Fatal("bare: ", err)
	}
	if err := intake.Serve(*addr, handler(to)); err != nil {
		log.Fatal("bare: ", err)
	}
	if err := to.close(); err != nil {
		log.Fatal("bare: ", err)
	}
}

// handler returns what checks a request, stores it and answers.
func handler(to store) fasthttp.RequestHandler {
	pool := requests{}
	return func(ctx *fasthttp.RequestCtx) {
		r := pool.get()
		n, err := r.read(ctx)
		if err != nil {
			pool.put(r)
			intake.Refuse(ctx, fasthttp.StatusBadRequest, err)
			return
		}
		if err := to.store(r, n); err != nil {
			intake.Refuse(ctx, fasthttp.StatusServiceUnavailable, err)
			return
		}
		pool.put(r)
		intake.Accept(ctx, n)
	}
}

// nowhere is the store of --mode none.
type nowhere struct{}

func (nowhere) store(*request, int) error { return nil }
func (nowhere) close() error              { return nil }
