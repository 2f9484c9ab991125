package offload_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// BenchmarkSplit is steps of Auto beside those with 0 and 50 % offloaded, in turns, with one executor: short and long
// steps, and an executor that has a quarter of its core. It reports the medians in µs.
func BenchmarkSplit(b *testing.B) {
	for _, c := range []struct {
		name      string
		items     int
		rounds    uint32
		quartered time.Duration // the period in which it has a quarter; 0: it is not
		steps     int
	}{
		{"10us", 100, 100, 0, 3000},
		{"100us", 1000, 100, 0, 2000},
		{"1ms", 10_000, 100, 0, 500},
		{"100ms", 100_000, 1000, 0, 25},
		{"quarter/1ms", 10_000, 100, 8 * time.Millisecond, 400},
		{"quarter/100ms", 100_000, 1000, 8 * time.Millisecond, 25},
		{"stopped75of100ms/100ms", 100_000, 1000, 100 * time.Millisecond, 25},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.Setenv("SUBLET_TRANSPORT", "ring")
			s := session(b)
			l, err := s.Lease(within(b), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
			check(b, err)
			w := newToil(s, c.items, same(c.rounds))
			work := w.work()
			splits := []*offload.Split{
				split(b, s, offload.Plan{Items: c.items, Lease: l}),
				split(b, s, offload.Plan{Items: c.items, Lease: l, Share: 0.5}),
				split(b, s, offload.Plan{Items: c.items, Lease: l, Share: offload.Auto, Say: func(text string) { b.Log(text) }}),
			}
			if c.quartered > 0 {
				defer quarter(b, l.Executors()[0].PID(), c.quartered)()
			}
			for b.Loop() { // nothing is measured by it
			}
			times := make([][]float64, len(splits))
			for range c.steps {
				for i, sp := range splits {
					began := time.Now()
					if err := sp.Step(context.Background(), work); err != nil {
						b.Fatal(err)
					}
					times[i] = append(times[i], 1e6*time.Since(began).Seconds())
				}
			}
			for i, name := range []string{"local-µs", "half-µs", "auto-µs"} {
				slices.Sort(times[i])
				b.ReportMetric(times[i][len(times[i])/2], name)
			}
			b.ReportMetric(splits[2].Report().Share, "share")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// quarter leaves a process a quarter of its time, until the function is called.
func quarter(tb testing.TB, pid int, period time.Duration) func() {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for _, turn := range []struct {
				signal syscall.Signal
				time   time.Duration
			}{{syscall.SIGSTOP, period * 3 / 4}, {syscall.SIGCONT, period / 4}} {
				if err := syscall.Kill(pid, turn.signal); err != nil {
					tb.Log(err)
					return
				}
				select {
				case <-time.After(turn.time):
				case <-over:
					_ = syscall.Kill(pid, syscall.SIGCONT)
					return
				}
			}
		}
	}()
	return func() { close(over); <-ended }
}

// BenchmarkSplitStep is what a step costs besides its work, and what it allocates.
func BenchmarkSplitStep(b *testing.B) {
	b.Setenv("SUBLET_TRANSPORT", "ring")
	s := session(b)
	for _, executors := range []int{0, 1} {
		b.Run(fmt.Sprint(executors), func(b *testing.B) {
			plan := offload.Plan{Items: 2, Share: float64(executors) / 2}
			if executors > 0 {
				plan.Lease = lease(b, s, executors)
			}
			sp := split(b, s, plan)
			in, out := offload.Alloc[uint64](s, 2), offload.Alloc[uint64](s, 2)
			inPart, outPart := in.Sub(1, 2), out.Sub(1, 2)
			var calls atomic.Int64
			work := offload.Work{
				Remote: func(ctx context.Context, p offload.Part) offload.Future {
					return p.Executor.Invoke(ctx, "toil", inPart, outPart)
				},
				Local: func(int, int) error { calls.Add(1); return nil },
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := sp.Step(context.Background(), work); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
