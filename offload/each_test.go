package offload_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/offload"
)

// counting fills a buffer with 1, 2, 3, ...
func counting(s *offload.Session, n int) *offload.Buffer[float64] {
	b := offload.Alloc[float64](s, n)
	for i := range b.Slice() {
		b.Slice()[i] = float64(i + 1)
	}
	return b
}

// Pieces of all sizes arrive where they belong, and touch nothing else.
func TestEach(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 3)
		for _, n := range []int{3, 10, 50_000} {
			rest := n / 3
			for name, counts := range map[string][]int{"equal": nil, "unequal": {0, n - rest - 1, rest}, "one": {0, 0, n}} {
				in, out := counting(s, n), offload.Alloc[float64](s, n)
				its := counts
				if counts == nil {
					its = []int{(n + 2) / 3, (n + 1) / 3, n / 3}
				}
				sizes, err := l.Each(within(t), "square", offload.Scatter(in, counts...), offload.Gather(out, counts...)).Wait(within(t))
				if diff := cmp.Diff([]int{8 * its[0], 8 * its[1], 8 * its[2]}, sizes); err != nil || diff != "" {
					t.Fatalf("%d, %s: %v (-want +got):\n%s", n, name, err, diff)
				}
				used := its[0] + its[1] + its[2]
				for i, v := range out.Slice() {
					if want := in.Slice()[i] * in.Slice()[i]; i < used && v != want || i >= used && v != 0 {
						t.Fatalf("%d, %s: %g at %d", n, name, v, i)
					}
				}
				check(t, errors.Join(in.Free(), out.Free()))
			}
			in, out := counting(s, n), offload.Alloc[float64](s, 3*n)
			_, err := l.Each(within(t), "square", offload.Broadcast(in), offload.Gather(out)).Wait(within(t))
			check(t, err)
			for i, v := range out.Slice() {
				if x := in.Slice()[i%n]; v != x*x {
					t.Fatalf("%d, the same for all: %g at %d", n, v, i)
				}
			}
			check(t, errors.Join(in.Free(), out.Free()))
		}
	})
}

// A piece that is lost with its executor, also by kill -9, is computed by another one, to the same place.
func TestEachOutlivesExecutors(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 3)
		in, out := offload.Alloc[uint32](s, 3), offload.Alloc[uint32](s, 3)
		copy(in.Slice(), []uint32{200, 201, 202})
		each := l.Each(within(t), "nap_and_echo", offload.Scatter(in), offload.Gather(out))
		check(t, syscall.Kill(l.Executors()[1].PID(), syscall.SIGKILL))
		sizes, err := each.Wait(within(t))
		check(t, err)
		if diff := cmp.Diff([]uint32{200, 201, 202}, out.Slice()); diff != "" || len(sizes) != 3 || sizes[1] != 4 {
			t.Errorf("%v bytes (-want +got):\n%s", sizes, diff)
		}
		if l.Lost() != 1 {
			t.Errorf("%d executors were lost", l.Lost())
		}
		// Whether or not the other one is there by now.
		_, err = l.Each(within(t), "nap_and_echo", offload.Scatter(in), offload.Gather(out)).Wait(within(t))
		check(t, err)
	})
}

// A piece that fails is named, and the others have their results. Of one that does not fit the size is what it needs.
func TestEachOfWhichSomeFail(t *testing.T) {
	s := session(t)
	l := lease(t, s, 3)
	in, out := counting(s, 6), offload.Alloc[float64](s, 6)
	each := l.Each(within(t), "square", offload.Scatter(in, 1, 4, 1), offload.Gather(out, 1, 2, 1))
	for range 2 { // the same once more
		sizes, err := each.Wait(within(t))
		if !errors.Is(err, offload.ErrOutputTooSmall) || !strings.HasPrefix(err.Error(), "offload: piece 1 of 3: ") {
			t.Errorf("a piece that does not fit: %v", err)
		}
		if diff := cmp.Diff([]int{8, 32, 8}, sizes); diff != "" || out.Slice()[0] != 1 || out.Slice()[3] != 36 {
			t.Errorf("%v (-want +got):\n%s", out.Slice(), diff)
		}
	}
	_, err := l.Each(within(t), "fail", nil, nil).Wait(within(t))
	var failed *offload.FunctionError
	if !errors.As(err, &failed) || strings.Count(err.Error(), "as you wished") != 3 {
		t.Errorf("all fail: %v", err)
	}
}

// Waiting can end before what is waited for.
func TestEachIsWaitedForTwice(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	in, out := offload.Alloc[uint32](s, 2), offload.Alloc[uint32](s, 2)
	copy(in.Slice(), []uint32{100, 100})
	each := l.Each(within(t), "nap_and_echo", offload.Scatter(in), offload.Gather(out))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := each.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	_, err := each.Wait(within(t))
	check(t, err)
	if diff := cmp.Diff([]uint32{100, 100}, out.Slice()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// That of the invocations is their own.
	_, err = l.Each(ended, "square", nil, nil).Wait(within(t))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("invoked when it has ended: %v", err)
	}
}

func TestPiecesThatMakeNoSense(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	in := offload.Alloc[float64](s, 4)
	var none *offload.Buffer[float64]
	for text, pieces := range map[string]offload.Pieces{
		"Scatter with 3 counts for 2 executors":                                             offload.Scatter(in, 1, 1, 1),
		"the count of executor 1 is 3, and of the buffer's 4 values those before it have 2": offload.Scatter(in, 2, 3),
		"the count of executor 0 is -1":                                                     offload.Gather(in, -1, 2),
		"Gather of no buffer":                                                               offload.Gather(none),
		"Broadcast of nothing":                                                              offload.Broadcast(nil),
	} {
		for _, each := range []*offload.Collective{l.Each(within(t), "square", pieces, nil), l.Each(within(t), "square", nil, pieces)} {
			if _, err := each.Wait(within(t)); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%q is refused as %v", text, err)
			}
		}
	}
	other := offload.Alloc[float64](s, 4)
	check(t, other.Free())
	if _, err := l.Each(within(t), "square", offload.Broadcast(other), nil).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
		t.Errorf("a buffer that was freed: %v", err)
	}
}

// onThree has a lease of three executors for an example.
func onThree() (ctx context.Context, session *offload.Session, lease *offload.Lease) {
	ctx = context.Background()
	session, err := offload.Connect(ctx)
	if err == nil {
		lease, err = session.Lease(ctx, offload.Want{Executors: 3, Library: library, Oversubscribe: true})
	}
	if err != nil {
		panic(err)
	}
	return ctx, session, lease
}

// Executor i squares piece i.
func ExampleScatter() {
	ctx, session, lease := onThree()
	defer session.Close()
	in, out := offload.Alloc[float64](session, 6), offload.Alloc[float64](session, 6)
	copy(in.Slice(), []float64{1, 2, 3, 4, 5, 6})
	_, err := lease.Each(ctx, "square", offload.Scatter(in), offload.Gather(out)).Wait(ctx)
	fmt.Println(out.Slice(), err)
	// Output: [1 4 9 16 25 36] <nil>
}

// Pieces need not be equal: there is a count for each executor, and what none of them has stays as it is.
func ExampleGather() {
	ctx, session, lease := onThree()
	defer session.Close()
	in, out := offload.Alloc[float64](session, 6), offload.Alloc[float64](session, 6)
	copy(in.Slice(), []float64{1, 2, 3, 4, 5, 6})
	each := lease.Each(ctx, "square", offload.Scatter(in, 1, 3, 1), offload.Gather(out, 1, 3, 1))
	out.Slice()[5] = 6 * 6 // meanwhile
	sizes, err := each.Wait(ctx)
	fmt.Println(out.Slice(), sizes, err)
	// Output: [1 4 9 16 25 36] [8 24 8] <nil>
}

// All executors have the same input; what does not change is a constant, and sent once.
func ExampleBroadcast() {
	ctx, session, lease := onThree()
	defer session.Close()
	in, out := offload.Alloc[float64](session, 2), offload.Alloc[float64](session, 6)
	copy(in.Slice(), []float64{1, 2})
	halves, err := session.Constant(offload.Bytes([]float64{0.5, 0.5}))
	if err != nil {
		panic(err)
	}
	_, err = lease.Each(ctx, "add", offload.Broadcast(in), offload.Gather(out), halves).Wait(ctx)
	fmt.Println(out.Slice(), err)
	// Output: [1.5 2.5 1.5 2.5 1.5 2.5] <nil>
}
