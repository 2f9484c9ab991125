package offload_test

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/offload"
)

const (
	overlapSize    = 16 << 20
	overlapLarge   = 64 << 20
	overlapCompute = 40 * time.Millisecond // what function compute takes
	// overlapAttempts is how often a busy machine gets another chance.
	overlapAttempts = 12
	// overlapLimit is how much of the floor it may take at most, on an idle machine. On one that may be
	// busy it may be overlapBusy, which is less than what it takes if nobody moves anything while the rank
	// computes.
	overlapLimit = 1.15
	overlapBusy  = 1.6
)

// compute is what a rank does meanwhile: work without a call of ours, and without a pause.
func compute(d time.Duration) {
	start := time.Now()
	for time.Since(start) < d {
		continue
	}
}

// overlaps compares what f takes with a floor that is measured in the same run, in turns.
func overlaps(t *testing.T, floor, f func() time.Duration) {
	t.Helper()
	limit := overlapBusy
	if endurance.InFull() {
		limit = overlapLimit
	}
	floor() // pages are touched and connections are warm
	for attempt := 1; ; attempt++ {
		var floors, times []time.Duration
		for range endurance.Count(3, 5) {
			floors, times = append(floors, floor()), append(times, f())
		}
		least, took := median(floors), median(times)
		ratio := float64(took) / float64(least)
		t.Logf("%v, the floor is %v: %.2f", took, least, ratio)
		if ratio <= limit {
			endurance.Report(t, "%v, the floor is %v: %.2f (bar %.2f)", took, least, ratio, limit)
			return
		}
		if attempt == overlapAttempts {
			t.Fatalf("%v is %.2f of the floor of %v; at most %.2f", took, ratio, least, limit)
		}
	}
}

// 16 MiB each way over libfabric while rank and executor compute: it takes as long as the longer of the
// two sides, and not the sum of both. The larger one is more than any socket buffers.
func TestEnduranceTransfersProgressWhileTheRankComputes(t *testing.T) {
	if endurance.InFull() {
		overLibfabric(t, testTransfersProgressWhileTheRankComputes)
		return
	}
	for _, way := range []way{{"ofi-write", "tcp"}, {"ofi-send", "shm"}} {
		over(t, way, testTransfersProgressWhileTheRankComputes)
	}
}

func testTransfersProgressWhileTheRankComputes(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	in, out := offload.Alloc[byte](s, overlapLarge), offload.Alloc[byte](s, overlapLarge)
	for _, test := range []struct {
		size int
		rank time.Duration
	}{{overlapSize, overlapCompute}, {overlapLarge, 3 * overlapCompute}} {
		invoke := func(meanwhile func()) time.Duration {
			start := time.Now()
			f := l.Invoke(within(t), "compute", in.Sub(0, test.size), out.Sub(0, test.size))
			meanwhile()
			n, err := f.Wait(within(t))
			check(t, err)
			if n != test.size {
				t.Fatalf("%d bytes", n)
			}
			return time.Since(start)
		}
		overlaps(t,
			func() time.Duration { return max(invoke(func() {}), test.rank) },
			func() time.Duration { return invoke(func() { compute(test.rank) }) })
	}
}

// The next input travels while the function computes on the present one, and the last output while
// the next function does.
func TestEnduranceTransfersProgressWhileTheFunctionComputes(t *testing.T) {
	t.Setenv("SUBLET_TRANSPORT", "ofi-write")
	s := session(t)
	l := lease(t, s, 1)
	const depth = 4
	var in, out [depth]*offload.Buffer[byte]
	for i := range depth {
		in[i], out[i] = offload.Alloc[byte](s, overlapSize), offload.Alloc[byte](s, overlapSize)
	}
	one := func() time.Duration {
		start := time.Now()
		_, err := l.Invoke(within(t), "compute", in[0], out[0]).Wait(within(t))
		check(t, err)
		return time.Since(start)
	}
	pipelined := func() time.Duration {
		start := time.Now()
		var futures [depth]offload.Future
		for i := range depth {
			futures[i] = l.Invoke(within(t), "compute", in[i], out[i])
		}
		compute(overlapCompute)
		for _, f := range futures {
			_, err := f.Wait(within(t))
			check(t, err)
		}
		return time.Since(start)
	}
	// One invocation with its transfers, and behind it functions alone.
	overlaps(t, func() time.Duration { return one() + (depth-1)*overlapCompute }, pipelined)
}
