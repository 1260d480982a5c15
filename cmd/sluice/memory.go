package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"sluice/config"
)

// processBytes is what the heap may hold beside what the configuration bounds: the
// 200 MiB that a process has besides, less what the garbage collector does not see,
// which is the binary and the embedded store's cache and memtables.
const processBytes = 100 << 20

// limitMemory tells the garbage collector how much memory there is to use. The
// environment's GOMEMLIMIT goes first, then the container's limit.
func limitMemory(cfg *config.Config, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit := int64(config.MemoryBound(cfg)) + processBytes
	if container, err := memlimit.FromCgroup(); err == nil {
		limit = min(limit, int64(float64(container)*0.9))
	}
	debug.SetMemoryLimit(limit)
	log.Debug("memory limit of the garbage collector", "bytes", limit)
}

// headroom is how much garbage may gather before it is collected, in bytes. What
// lives is mostly users, whose memory a collection need not look at: so there is no
// reason for the garbage to grow with them, as a fixed GOGC would have it.
const headroom = 64 << 20

// collectorPercent returns the GOGC that leaves headroom beside what lives.
func collectorPercent(live uint64) int {
	const least, most = 20, 400
	return int(min(most, max(least, 100*headroom/max(live, 1))))
}

// tuneCollector keeps GOGC where collectorPercent has it, as what lives grows and
// shrinks, until ctx is over. The environment's GOGC goes first: do not call it then.
func tuneCollector(ctx context.Context) error {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for percent := 0; ; {
		metrics.Read(live)
		if p := collectorPercent(live[0].Value.Uint64()); p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
