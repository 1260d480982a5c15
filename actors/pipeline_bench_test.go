package actors

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/event"
	"sluice/sinks/memory"
)

// payload is a 500 B event of one of users users.
func payload(seq uint64, users int) string {
	head := fmt.Sprintf(`{"id":"e-%020d","type":"reading","user":"u-%06d","ts":1700000000000,"pad":"`, seq, seq%uint64(users))
	return head + strings.Repeat("x", 500-len(head)-2) + `"}`
}

// BenchmarkPipeline drives the whole pipeline with the memory sink and without
// HTTP. An operation is an event.
func BenchmarkPipeline(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) { benchPipeline(b, size, 10_000, 64) })
	}
}

func benchPipeline(b *testing.B, size, users, clients int) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as sluice serve does
	sink := memory.New(memory.Options{})
	p := start(b, Options{Tenants: []TenantConfig{testTenant("bench", sink)}})
	in := p.Tenant("bench")
	requests := (b.N + size - 1) / size
	bodies := make([][]byte, requests)
	seq := uint64(0)
	for i := range bodies {
		var s strings.Builder
		for range size {
			s.WriteString(payload(seq, users))
			s.WriteByte('\n')
			seq++
		}
		bodies[i] = []byte(s.String())
	}
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began, spent := time.Now(), cpuTime()
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= requests {
					return
				}
				body := bodies[i]
				if in.Reserve(len(body)) != nil {
					failed.Add(1)
					continue
				}
				r := in.Submit(event.Request{Body: body, Format: event.NDJSON, Ack: event.AckStored, Reserved: len(body), Received: time.Now()})
				<-r.Done()
				for _, o := range r.Outcomes() {
					if o.Fate != event.Stored {
						failed.Add(1)
					}
				}
			}
		}()
	}
	wg.Wait()
	took, used := time.Since(began), cpuTime()-spent
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatalf("%d events or requests were not stored", failed.Load())
	}
	b.ReportMetric(float64(requests*size)/took.Seconds(), "events/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(requests*size), "cpu-ns/event")
}

// cpuTime is what the process has used of the processors: on a machine that
// others use it tells more than the time that passed.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMailboxHop is one message from a sender to an actor's Receive.
func BenchmarkMailboxHop(b *testing.B) {
	w := newWorker()
	defer w.stop()
	got := make(chan struct{})
	left := b.N
	m := newMailbox(&mailboxPolicy{limit: 1 << 20, keep: 1024, maxAttempts: 1, dropped: func(any, any, drop) {}, failed: func(*Failure) {}})
	m.RegisterHandlers(invokerFunc(func(any) {
		if left--; left == 0 {
			close(got)
		}
	}), w)
	msg := any(&struct{}{})
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for m.post(msg) != 0 {
			time.Sleep(10 * time.Microsecond) // full: let it run dry
		}
	}
	<-got
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type invokerFunc func(any)

func (f invokerFunc) InvokeSystemMessage(any)  {}
func (f invokerFunc) InvokeUserMessage(m any)  { f(m) }
func (f invokerFunc) EscalateFailure(any, any) {}

// BenchmarkIdleUser measures what a live user costs that has sent one event: its
// actor, mailbox, dedupe window and place in the shard. An operation is a user.
func BenchmarkIdleUser(b *testing.B) {
	const users = 100_000
	for range b.N {
		b.StopTimer()
		p := start(b, Options{Tenants: []TenantConfig{testTenant("bench", memory.New(memory.Options{}))}})
		in := p.Tenant("bench")
		before := heap()
		b.StartTimer()
		for first := 0; first < users; first += 1000 {
			docs := make([]doc, 1000)
			for i := range docs {
				docs[i] = doc{Type: "t", User: fmt.Sprintf("user-%08d", first+i)}
			}
			send(b, in, docs...)
		}
		b.StopTimer()
		if live := p.tenants["bench"].usersLive.Load(); live != users {
			b.Fatalf("%d users are live", live)
		}
		b.ReportMetric(float64(heap()-before)/users, "B/user")
		b.ReportMetric(float64(p.tenants["bench"].userBytes.Load())/users, "estimated-B/user")
		b.StartTimer()
	}
}

// heap returns the bytes of the heap that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
