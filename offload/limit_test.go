package offload_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// When the time limit of a lease is over its executors end, whatever they do: what is in flight and what comes
// later says why, work that is split goes on without them, and another lease can have their cores.
func TestTimeLimit(t *testing.T) {
	s := session(t)
	const limit = 4 * time.Second // in which a machine that is busy starts an executor and calls it
	began := time.Now()
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, TimeLimit: limit})
	check(t, err)
	leased := time.Now()
	in, out := offload.Alloc[byte](s, 10), offload.Alloc[byte](s, 10)
	_, err = l.Invoke(within(t), "echo", in, out).Wait(within(t))
	check(t, err)
	length := offload.Alloc[uint32](s, 1) // milliseconds
	length.Slice()[0] = uint32(patience.Milliseconds())
	_, err = l.Invoke(within(t), "nap", length, nil).Wait(within(t))
	wantOver(t, "an invocation in flight", err)
	// It begins while the executors start, between the two.
	if now := time.Now(); now.Sub(leased) > limit+endsWithin || now.Sub(began) < limit {
		t.Errorf("it was over %v after the lease was asked for, %v after it was granted", now.Sub(began), now.Sub(leased))
	}
	_, err = l.Invoke(within(t), "echo", in, out).Wait(within(t))
	wantOver(t, "an invocation afterwards", err)
	items := 0
	err = split(t, s, offload.Plan{Items: 10, Share: 0.5, Lease: l}).Step(within(t), offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			return p.Executor.Invoke(ctx, "echo", in, out)
		},
		Local: func(lo, hi int) error {
			items += hi - lo
			return nil
		},
	})
	if err != nil || items != 10 {
		t.Errorf("a step did %d of 10 items here: %v", items, err)
	}
	if losses := l.Losses(); len(losses) != 1 {
		t.Errorf("the lease has lost %v", losses)
	}
	another := lease(t, s, 1)
	_, err = another.Invoke(within(t), "echo", in, out).Wait(within(t))
	check(t, err)
	check(t, another.Release())
	check(t, l.Release())
}

// endsWithin is how long after the limit an invocation may take to fail, on a machine that is busy.
const endsWithin = 10 * time.Second

func wantOver(t testing.TB, what string, err error) {
	t.Helper()
	var lost *offload.ExecutorLost
	if !errors.As(err, &lost) || lost.Cause != offload.LostTimeLimit || !strings.Contains(err.Error(), "the time limit of its lease, 4s, is over (Want.TimeLimit)") {
		t.Errorf("%s: %v", what, err)
	}
}

// A limit that is over before executors have started, and one that makes no sense.
func TestTimeLimitTooShort(t *testing.T) {
	s := session(t)
	_, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, TimeLimit: 1})
	if err == nil || !strings.Contains(err.Error(), "is over (Want.TimeLimit)") {
		t.Errorf("a lease of a nanosecond: %v", err)
	}
	_, err = s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, TimeLimit: -1})
	if err == nil || !strings.Contains(err.Error(), "Want.TimeLimit") {
		t.Errorf("a negative limit: %v", err)
	}
}
