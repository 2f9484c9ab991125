package offload_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// A result is taken once; no Future can take that of an invocation that came later, whose memory was
// its own before.
func TestResultIsTakenOnce(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
		var old []offload.Future
		for range 100 {
			f := l.Invoke(context.Background(), "echo", in, out)
			n, err := f.Wait(within(t))
			check(t, err)
			if n != 8 {
				t.Fatalf("%d bytes came back", n)
			}
			old = append(old, f)
		}
		f := l.Invoke(context.Background(), "square", in, nil)
		for i, earlier := range old {
			if n, err := earlier.Wait(within(t)); !errors.Is(err, offload.ErrWaited) {
				t.Errorf("the second wait for invocation %d: %d bytes, %v", i, n, err)
			}
			if earlier.Pending() {
				t.Errorf("invocation %d has not ended", i)
			}
		}
		if _, err := f.Wait(within(t)); !errors.Is(err, offload.ErrOutputTooSmall) {
			t.Errorf("the last one: %v", err)
		}
		if _, err := (offload.Future{}).Wait(within(t)); !errors.Is(err, offload.ErrWaited) {
			t.Errorf("the zero Future: %v", err)
		}
	})
}

// Goroutines that wait when an invocation ends all get its result; those that come later learn that
// they do. Meanwhile others invoke, so that what is used again would be seen.
func TestManyWaitForOneFuture(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const rounds, waiters = 50, 4
		for range rounds {
			in, out := offload.Alloc[uint64](s, 3), offload.Alloc[uint64](s, 3)
			f := l.Invoke(context.Background(), "echo", in, out)
			var all sync.WaitGroup
			var mu sync.Mutex
			results := 0
			for range waiters {
				all.Go(func() {
					n, err := f.Wait(within(t))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil && n == 24:
						results++
					case !errors.Is(err, offload.ErrWaited):
						t.Errorf("%d bytes, %v", n, err)
					}
				})
				all.Go(func() {
					if _, err := l.Invoke(context.Background(), "square", in, nil).Wait(within(t)); !errors.Is(err, offload.ErrOutputTooSmall) {
						t.Errorf("beside it: %v", err)
					}
				})
			}
			all.Wait()
			if results == 0 {
				t.Fatal("nobody got the result")
			}
			check(t, in.Free())
			check(t, out.Free())
		}
	})
}
