package offload_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// Between invocations, executors that are not hot sleep, and so does their rank: each takes less than a
// hundredth of a core.
func TestWarmTakesNoCore(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l, err := s.Lease(within(t), offload.Want{Executors: 3, Library: library, HotTimeout: time.Millisecond, Oversubscribe: true})
		check(t, err)
		in, out := offload.Alloc[uint64](s, 1<<15), offload.Alloc[uint64](s, 1<<15)
		pids := []int{os.Getpid()}
		for _, e := range l.Executors() {
			_, err := e.Invoke(within(t), "echo", in, out).Wait(within(t))
			check(t, err)
			pids = append(pids, e.PID())
		}
		// What runs shortly after (a collection, a helper that fills its pool) is no spinning: some second is quiet.
		const second, share = time.Second, 100
		var used []time.Duration
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			before, began := processorTimes(t, pids), time.Now()
			time.Sleep(second) // what they use meanwhile is measured
			after, elapsed := processorTimes(t, pids), time.Since(began)
			quiet := true
			used = used[:0]
			for i := range pids {
				used = append(used, after[i]-before[i])
				quiet = quiet && used[i] < elapsed/share
			}
			if quiet {
				return
			}
		}
		t.Errorf("idle for a second, the rank and its executors took %v of a core", used)
	})
}

// processorTimes is what all threads of each process have used so far.
func processorTimes(t *testing.T, pids []int) []time.Duration {
	t.Helper()
	times := make([]time.Duration, len(pids))
	for i, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		check(t, err)
		if len(threads) == 0 {
			t.Fatalf("process %d has no threads", pid)
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if os.IsNotExist(err) {
				continue // it has ended
			}
			check(t, err)
			var running int64
			_, err = fmt.Sscan(string(text), &running)
			check(t, err)
			times[i] += time.Duration(running)
		}
	}
	return times
}
