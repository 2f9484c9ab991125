package manager

import (
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// tally counts what a manager's executors do, for its metrics. What processes have counted themselves is
// read from their stats pages: of those that live when somebody asks, of others when they end. A nil
// tally counts nothing.
type tally struct {
	mu   sync.Mutex
	live map[*instance]struct{}
	past work // of processes that have ended

	died     map[string]uint64 // executors whose process ended of itself, by cause
	replaced uint64
	lost     uint64
	refused  uint64 // leases, for want of a ticket or a proof

	reports    uint64 // that were answered
	failed     uint64 // reports that were not
	reported   time.Time
	registered bool
}

// work is what executors have done, by their own word.
type work struct {
	invocations       uint64
	computing, inLoop time.Duration
}

func (w *work) add(stats statspage.Stats) {
	w.invocations += stats.Invocations
	if stats.TicksPerSec > 0 {
		w.computing += time.Duration(float64(stats.ComputeTicks) / float64(stats.TicksPerSec) * float64(time.Second))
		w.inLoop += time.Duration(float64(stats.HotTicks) / float64(stats.TicksPerSec) * float64(time.Second))
	}
}

// Causes of an executor's death.
const (
	diedOfMemory = "memory"
	diedOfSignal = "signal"
	diedOfExit   = "exit"
	diedOfKill   = "killed" // by the manager: it had closed its connection
)

func newTally() *tally {
	return &tally{live: map[*instance]struct{}{}, died: map[string]uint64{diedOfMemory: 0, diedOfSignal: 0, diedOfExit: 0, diedOfKill: 0}}
}

func (t *tally) began(i *instance) {
	t.do(func() { t.live[i] = struct{}{} })
}

// ended takes over what a process has counted; its page is there still.
func (t *tally) ended(i *instance) {
	t.do(func() {
		if _, lives := t.live[i]; lives {
			delete(t.live, i)
			t.past.add(i.page.Read())
		}
	})
}

func (t *tally) death(ended control.Ended) {
	cause := diedOfExit
	switch {
	case ended.OutOfMemory:
		cause = diedOfMemory
	case ended.Reason != "":
		cause = diedOfKill
	case ended.Signal != 0:
		cause = diedOfSignal
	}
	t.do(func() { t.died[cause]++ })
}

func (t *tally) replacement() { t.do(func() { t.replaced++ }) }
func (t *tally) loss()        { t.do(func() { t.lost++ }) }
func (t *tally) refusal()     { t.do(func() { t.refused++ }) }

// report notes what came of a report to the resource manager.
func (t *tally) report(err error, registered bool, at time.Time) {
	t.do(func() {
		t.registered = registered
		if err != nil {
			t.failed++
			return
		}
		t.reports++
		t.reported = at
	})
}

func (t *tally) do(change func()) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}
