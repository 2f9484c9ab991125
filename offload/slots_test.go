package offload_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// Slots are full as long as executors have not answered, and not until somebody waits for futures.
func TestAnsweredSlotsAreFreeForTryInvoke(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		var futures []offload.Future
		for range 16 {
			f, err := l.TryInvoke(within(t), "echo", nil, nil)
			check(t, err)
			futures = append(futures, f)
		}
		// Who looks after connections once a second would free them, too, but that is too late.
		for deadline := time.Now().Add(900 * time.Millisecond); ; time.Sleep(time.Millisecond) {
			f, err := l.TryInvoke(within(t), "echo", nil, nil)
			if err == nil {
				futures = append(futures, f)
				break
			}
			if !errors.Is(err, offload.ErrBusy) || time.Now().After(deadline) {
				t.Fatalf("after all slots were answered: %v", err)
			}
		}
		for _, f := range futures {
			_, err := f.Wait(within(t))
			check(t, err)
		}
	})
}

// A deadline holds for an invocation that waits behind another one, although nobody waits for either.
func TestDeadlineBehindAnotherInvocation(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	long, endless := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1)
	long.Slice()[0], endless.Slice()[0] = 2100, 60_000 // by then it is asked every other second how far it is
	first := l.Invoke(context.Background(), "nap", long, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	second := l.Invoke(ctx, "nap", endless, nil)
	waitFor(t, "the first one's end", func() bool { return !first.Pending() })
	if took := time.Since(began); took > 2900*time.Millisecond {
		t.Errorf("2.1 s of sleep were seen to be over after %v", took)
	}
	_, err := second.Wait(within(t))
	if !errors.Is(err, offload.ErrDeadline) {
		t.Errorf("the second one: %v", err)
	}
}
