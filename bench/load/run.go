package load

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/ledger"
	"sluice/bench/result"
)

// Options is what a run may tell and be told while it goes on.
type Options struct {
	// Stop, when it is closed, ends the run early: nothing more is sent, answers
	// under way are waited for, and the result is of what there was.
	Stop <-chan struct{}
	// Progress is called once a second, by one goroutine; nil: nobody looks.
	Progress func(Progress)
	// Ledger, when it is not nil, is filled with every event and its outcome.
	Ledger *ledger.Ledger
	// Server is the server's own figures; nil: nobody asks for them.
	Server Probe
	// Version is sluice's own, for the result.
	Version string
}

// Progress is how a run goes: rates of events of the last second.
type Progress struct {
	At       time.Duration // since what is measured began; negative in the warm-up
	For      time.Duration // that will be measured; 0: not known
	Phase    string
	Sent     float64
	Accepted float64
	Refused  float64
	Unknown  float64
	P50, P99 time.Duration
	Backlog  uint64 // events that are due and were not sent
}

// Run sends what the plan says. It returns when everything it started has ended.
// The end of ctx gives up what is under way at once; its outcome is unknown then.
// An error is one of reaching the target at all: what happens later is a result.
func Run(ctx context.Context, p *Plan, o Options) (*result.Run, error) {
	if p.Knee != nil {
		return searchKnee(ctx, p, o)
	}
	r, err := newRunner(p, o, 0)
	if err != nil {
		return nil, err
	}
	run, _, _, err := r.measure(ctx)
	return run, err
}

// A runner is one run of one plan.
type runner struct {
	plan    *Plan
	opts    Options
	lanes   []*lane
	workers []*worker
	alarm   *alarm

	began   time.Time
	closing chan struct{} // closed when nothing more is to begin

	mu    sync.Mutex // of armed and the alarm's time
	armed time.Duration

	due     [][]uint64 // events due so far, by lane and phase
	counted []schedule // the lanes' schedules again, for counting what is due
	ahead   []*slot    // read from counted and not due yet

	spare   *cell // for swapping seconds
	merged  *cell // the second of all shards
	series  []result.Sample
	server  watched
	ownCPU  time.Duration // at the start of what is measured
	stopped string
}

// newRunner prepares a run whose connections are numbered from first.
func newRunner(p *Plan, o Options, first int) (*runner, error) {
	alarm, err := newAlarm()
	if err != nil {
		return nil, err
	}
	r := &runner{plan: p, opts: o, alarm: alarm, armed: math.MaxInt64, closing: make(chan struct{}),
		spare: newCell(), merged: newCell(), server: watched{probe: o.Server}}
	conns := shareConnections(p)
	total := 0
	for _, n := range conns {
		total += n
	}
	src := newSource(p, first+total)
	weights := 0.0
	for _, t := range p.Tenants {
		weights += t.Weight
	}
	below := 0.0
	for i, t := range p.Tenants {
		l := &lane{tenant: t, waiting: newQueue(conns[i])}
		for range min(conns[i], max(1, 2*runtime.GOMAXPROCS(0)/len(p.Tenants))) {
			l.shards = append(l.shards, newShard(len(p.phases())))
		}
		share := t.Weight / weights
		l.schedule = r.newSchedule(share, below/weights, float64(i)/float64(len(p.Tenants)))
		r.counted = append(r.counted, r.newSchedule(share, below/weights, float64(i)/float64(len(p.Tenants))))
		if p.Count > 0 {
			l.limited, l.left = true, laneRequests(p, share)
		}
		below += t.Weight
		r.due, r.ahead = append(r.due, make([]uint64, len(p.phases())+1)), append(r.ahead, nil)
		for n := range conns[i] {
			id := first + len(r.workers)
			w := &worker{run: r, lane: l, shard: l.shards[n%len(l.shards)], wire: newWire(&p.Target),
				w: newWriter(src, id, t.Key), id: id, wake: make(chan bool, 1)}
			if o.Ledger != nil {
				w.entries = make([]ledger.Entry, 0, 1024)
			}
			l.workers = append(l.workers, w)
			r.workers = append(r.workers, w)
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}

// shareConnections returns how many connections each tenant has: what it asks
// for, or its share by weight, at least one.
func shareConnections(p *Plan) []int {
	free, weights := p.Connections, 0.0
	for _, t := range p.Tenants {
		if t.Connections > 0 {
			free -= t.Connections
		} else {
			weights += t.Weight
		}
	}
	conns := make([]int, len(p.Tenants))
	for i, t := range p.Tenants {
		if conns[i] = t.Connections; conns[i] == 0 {
			conns[i] = max(1, int(math.Round(float64(free)*t.Weight/weights)))
		}
	}
	return conns
}

// laneRequests is the part of the plan's Count that is one tenant's, in requests.
func laneRequests(p *Plan, share float64) uint64 {
	return uint64(max(1, math.Round(float64(p.Count)*share/float64(p.Events.Batch))))
}

// newSchedule returns the schedule of a tenant with a share of the load, nil in a
// closed loop. below is the share of the tenants before it.
func (r *runner) newSchedule(share, below, offset float64) schedule {
	p := r.plan
	if p.Open == nil {
		return nil
	}
	var s schedule
	if len(p.Open.Arrivals) > 0 {
		s = &arrivals{times: p.Open.Arrivals, warmup: p.Warmup, from: below, to: below + share}
	} else {
		s = newRates(p, share, offset)
	}
	if p.Count > 0 {
		s = &limited{s, laneRequests(p, share)}
	}
	return s
}

// now returns the time since the start of the run.
func (r *runner) now() time.Duration { return time.Since(r.began) }

// phaseAt returns the phase of a closed loop.
func (r *runner) phaseAt(now time.Duration) int {
	if now < r.plan.Warmup {
		return 0
	}
	return 1
}

// quantum is how closely the pacer's wake-ups may follow each other. At high rates
// it wakes several connections at once, each a little late; connections that get
// an answer in between wake those that are due earlier.
const quantum = 50 * time.Microsecond

// wakeBy makes the pacer wake at due, if it would not earlier.
func (r *runner) wakeBy(due time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if due < r.armed {
		r.armed = due
		r.alarm.set(due - r.now())
	}
}

// pace wakes connections whose slots are due, until the alarm is ended.
func (r *runner) pace() {
	for r.alarm.wait() {
		r.mu.Lock()
		r.armed = math.MaxInt64
		r.mu.Unlock()
		now := r.now()
		for _, l := range r.lanes {
			if next, any := l.release(now); any {
				r.wakeBy(max(next, now+quantum))
			}
		}
	}
}

// pause waits. It reports false when the run is over before that.
func (r *runner) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.closing:
	case <-ctx.Done():
	}
	return false
}

// connect connects all workers, so that the load begins with all of them. It
// fails when one cannot be connected.
func (r *runner) connect(ctx context.Context) error {
	if r.plan.NewConn {
		w := r.workers[0]
		defer w.wire.down()
		if err := w.wire.dial(ctx); err != nil {
			return &connectError{r.plan.Target.Address, err}
		}
		return nil
	}
	const atOnce = 64
	errs := make(chan error, atOnce)
	for k := range atOnce {
		go func() {
			var first error
			for i := k; i < len(r.workers) && first == nil; i += atOnce {
				first = r.workers[i].wire.dial(ctx)
			}
			errs <- first
		}()
	}
	var failed error
	for range atOnce {
		if err := <-errs; err != nil {
			failed = &connectError{r.plan.Target.Address, err}
		}
	}
	if failed != nil {
		for _, w := range r.workers {
			w.wire.down()
		}
	}
	return failed
}

// measure runs the plan. It returns what that showed, and of what was measured the
// sum and how late requests left.
func (r *runner) measure(ctx context.Context) (*result.Run, *cell, *hdrhistogram.Histogram, error) {
	defer r.alarm.close()
	if err := r.connect(ctx); err != nil {
		return nil, nil, nil, err
	}
	started := time.Now()
	machine := thisMachine(r.opts.Version)
	r.began = time.Now()
	var helpers, workers sync.WaitGroup
	helpers.Go(r.pace)
	over := make(chan struct{}) // ends the watchdog
	helpers.Go(func() { r.watchdog(over) })
	done := make(chan struct{}) // all workers have ended
	for _, w := range r.workers {
		workers.Go(func() { w.loop(ctx) })
	}
	go func() {
		workers.Wait()
		close(done)
	}()
	end := r.observe(ctx, done)
	r.finish(ctx, done)
	close(over)
	r.alarm.end()
	helpers.Wait()
	run, all, late := r.result(end)
	run.Started, run.Machine = started, machine
	return run, all, late, nil
}

// finish waits for the answers under way. The watchdog bounds that, or the end of
// ctx.
func (r *runner) finish(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for _, w := range r.workers {
		w.wire.cut(true)
	}
	<-done
}

// watchdog cuts connections whose answer is overdue. That costs the connections
// less than a deadline of each request would.
func (r *runner) watchdog(over <-chan struct{}) {
	tick := time.NewTicker(max(time.Millisecond, min(r.plan.Timeout/20, 100*time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now := r.now()
		for _, w := range r.workers {
			if since := w.since.Load(); since > 0 && now-time.Duration(since) > r.plan.Timeout && w.since.CompareAndSwap(since, -since) {
				w.wire.cut(false)
			}
		}
	}
}

// observe takes a sample every second until the run is to end, and closes the
// lanes then. It returns when that was.
func (r *runner) observe(ctx context.Context, done <-chan struct{}) time.Duration {
	length := r.plan.length()
	next := time.Second
	if r.plan.Warmup > 0 {
		next = min(next, r.plan.Warmup)
	} else {
		r.begin(ctx)
	}
	last := time.Duration(0)
	for {
		stop := r.await(ctx, done, min(next, length))
		now := min(r.now(), length)
		if stop && r.stopped == "" && r.plan.Count == 0 {
			now = length // the schedule has been sent to its end, all of it
		}
		if stop || now == length {
			r.close(now)
			r.server.look(ctx)
			r.server.end()
			r.finish(ctx, done)
			r.sample(now, now-last)
			return now
		}
		r.server.look(ctx)
		r.sample(now, now-last)
		if next == r.plan.Warmup {
			r.begin(ctx)
		}
		if last, next = now, next+time.Second; now < r.plan.Warmup {
			next = min(next, r.plan.Warmup)
		}
	}
}

// await waits for a time. It reports true when the run is to end before that.
func (r *runner) await(ctx context.Context, done <-chan struct{}, until time.Duration) bool {
	t := time.NewTimer(until - r.now())
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-done: // nothing is left to send
	case <-r.opts.Stop:
		r.stopped = "interrupted"
	case <-ctx.Done():
		r.stopped = "given up"
	}
	return true
}

// close lets no request begin any more.
func (r *runner) close(end time.Duration) {
	close(r.closing)
	for _, l := range r.lanes {
		l.close(end)
	}
}

// begin marks the start of what is measured.
func (r *runner) begin(ctx context.Context) {
	r.server.look(ctx)
	r.server.begin()
	r.ownCPU = ownCPU()
}

// sample takes what was recorded since the last one, which is span ago.
func (r *runner) sample(now, span time.Duration) {
	r.merged.reset()
	for _, l := range r.lanes {
		for _, s := range l.shards {
			full := s.swap(r.spare)
			r.merged.add(full)
			full.reset()
			r.spare = full
		}
	}
	m, seconds := r.merged, span.Seconds()
	if seconds < 0.2 {
		return // too short to say anything in rates
	}
	backlog := r.countDue(now)
	at := now - r.plan.Warmup
	s := result.Sample{
		At: at.Seconds(), Sent: float64(m.sent) / seconds, Accepted: float64(m.accepted) / seconds,
		Refused: float64(m.refusedEvents()+m.failed) / seconds, Unknown: float64(m.unknown) / seconds,
	}
	if m.latency.TotalCount() > 0 {
		s.P50, s.P99, s.Max = m.latency.ValueAtQuantile(50), m.latency.ValueAtQuantile(99), m.latency.Max()
	}
	r.server.fill(&s)
	if at > 0 {
		r.series = append(r.series, s)
	}
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{
			At: at, For: r.plan.length() - r.plan.Warmup, Phase: r.phaseName(now), Sent: s.Sent, Accepted: s.Accepted,
			Refused: s.Refused, Unknown: s.Unknown, Backlog: backlog,
			P50: time.Duration(s.P50) * time.Microsecond, P99: time.Duration(s.P99) * time.Microsecond,
		})
	}
}

// phaseName names the phase of the schedule at a time.
func (r *runner) phaseName(now time.Duration) string {
	if now < r.plan.Warmup {
		return "warm-up"
	}
	if r.plan.Open == nil {
		return ""
	}
	at := r.plan.Warmup
	for _, s := range r.plan.Open.Segments {
		if at += s.For; now <= at {
			return r.plan.Open.Phases[s.Phase]
		}
	}
	return ""
}
