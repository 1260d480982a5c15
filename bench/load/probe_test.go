package load

import (
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestReadMetrics(t *testing.T) {
	f, err := readMetrics(strings.NewReader(`# HELP process_cpu_seconds_total Total.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
process_resident_memory_bytes 1.048576e+06
process_open_fds 9
go_goroutines 42
sluice_credits_in_use{tenant="a",unit="bytes"} 50
sluice_credits_in_use{tenant="a",unit="events"} 9
sluice_credits_in_use{tenant="b",unit="bytes"} 10
sluice_credits_limit{tenant="a",unit="bytes"} 100
sluice_credits_limit{tenant="a",unit="events"} 10
sluice_credits_limit{tenant="b",unit="bytes"} 0
sluice_mailbox_depth{tenant="a",stage="parser"} 3
sluice_mailbox_depth{tenant="b",stage="parser"} 4
sluice_mailbox_depth{tenant="b",stage="writer"} 1
sluice_mailbox_depth broken
something_else{x="y"} 1
`))
	want := Figures{CPU: 12500 * time.Millisecond, RSS: 1 << 20, Files: 9, Goroutines: 42, CreditShare: 0.9,
		Mailboxes: map[string]float64{"parser": 7, "writer": 1}}
	if err != nil || !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestPIDProbe(t *testing.T) {
	p, err := NewPIDProbe(1 << 30)
	if err == nil {
		t.Errorf("there is such a process: %v", p)
	}
	if runtime.GOOS != "linux" {
		return
	}
	p, err = NewPIDProbe(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Look(t.Context())
	if err != nil || f.RSS < 1<<20 || f.Files < 3 {
		t.Errorf("got %+v, %v", f, err)
	}
}
