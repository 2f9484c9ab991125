package offload_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// member is a rank of a group within one process: messages go through channels.
type member struct {
	rank  int
	boxes [][]chan []byte // by sender and receiver
}

func (m member) Rank() int { return m.rank }
func (m member) Size() int { return len(m.boxes) }

func (m member) SendBytes(data []byte, to, _ int) { m.boxes[m.rank][to] <- data }

func (m member) RecvBytes(from, _ int) ([]byte, struct{}) { return <-m.boxes[from][m.rank], struct{}{} }

// group makes the members of one.
func group(size int) []member {
	members := make([]member, size)
	boxes := make([][]chan []byte, size)
	for i := range boxes {
		members[i] = member{i, boxes}
		for range size {
			boxes[i] = append(boxes[i], make(chan []byte, 1))
		}
	}
	return members
}

// sessionsOf connects members; when the test is over nothing of them is left.
func sessionsOf(t *testing.T, members int) []*offload.Session {
	t.Helper()
	session(t) // looks when the others have been closed
	sessions := make([]*offload.Session, members)
	for i := range sessions {
		var err error
		sessions[i], err = offload.Connect(within(t))
		check(t, err)
		t.Cleanup(func() { check(t, sessions[i].Close()) })
	}
	return sessions
}

// together has all members call LeaseAll, each with a session of its own.
func together(t *testing.T, sessions []*offload.Session, want func(rank int) (context.Context, offload.Want)) ([]*offload.Lease, []error) {
	t.Helper()
	leases, errs := make([]*offload.Lease, len(sessions)), make([]error, len(sessions))
	var all sync.WaitGroup
	for rank, m := range group(len(sessions)) {
		all.Go(func() {
			ctx, wanted := want(rank)
			leases[rank], errs[rank] = offload.LeaseAll(ctx, sessions[rank], m, wanted)
		})
	}
	all.Wait()
	return leases, errs
}

// Ranks need not be MPI's. What each gets is its own, and may be of another size.
func TestLeaseAll(t *testing.T) {
	sessions := sessionsOf(t, 3)
	leases, errs := together(t, sessions, func(rank int) (context.Context, offload.Want) {
		return within(t), offload.Want{Executors: 1 + rank, Library: library, Oversubscribe: true, HotTimeout: offload.NeverHot}
	})
	check(t, errors.Join(errs...))
	check(t, leases[1].Release())
	for rank, l := range leases {
		if rank == 1 {
			continue
		}
		if len(l.Executors()) != 1+rank {
			t.Errorf("rank %d has %d executors", rank, len(l.Executors()))
		}
		in, out := counting(sessions[rank], 4), offload.Alloc[float64](sessions[rank], 4)
		_, err := l.Each(within(t), "square", offload.Scatter(in), offload.Gather(out)).Wait(within(t))
		if err != nil || out.Slice()[3] != 16 {
			t.Errorf("rank %d: %v, %v", rank, out.Slice(), err)
		}
	}
}

func TestLeaseAllFailsEverywhere(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		last  func(context.Context, offload.Want) (context.Context, offload.Want)
		class error
		text  string
	}{
		"a context that has ended": {func(_ context.Context, w offload.Want) (context.Context, offload.Want) { return ended, w }, context.Canceled, "cancel"},
		"no executors": {func(ctx context.Context, w offload.Want) (context.Context, offload.Want) {
			w.Executors = 0
			return ctx, w
		}, nil, "a lease of 0 executors"},
		"more than there are": {func(ctx context.Context, w offload.Want) (context.Context, offload.Want) {
			w.Executors, w.Oversubscribe = 1000, false
			return ctx, w
		}, offload.ErrNoCapacity, "1000 executors"},
	} {
		t.Run(name, func(t *testing.T) {
			sessions := sessionsOf(t, 3)
			_, errs := together(t, sessions, func(rank int) (context.Context, offload.Want) {
				ctx, want := within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true}
				if rank == 2 {
					return c.last(ctx, want)
				}
				return ctx, want
			})
			for rank, err := range errs {
				switch {
				case err == nil || err.Error() != errs[0].Error() || !strings.HasPrefix(err.Error(), "LeaseAll: rank 2 of 3: ") || !strings.Contains(err.Error(), c.text):
					t.Errorf("rank %d: %v", rank, err)
				case c.class != nil && !errors.Is(err, c.class):
					t.Errorf("rank %d: %v is of another class", rank, err)
				}
			}
		})
	}
	// A session that was closed is a failure like any other.
	sessions := sessionsOf(t, 2)
	check(t, sessions[0].Close())
	_, errs := together(t, sessions, func(int) (context.Context, offload.Want) {
		return within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true}
	})
	for rank, err := range errs {
		if !errors.Is(err, offload.ErrClosed) || !strings.HasPrefix(err.Error(), "LeaseAll: rank 0 of 2: ") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// garbling is a member that gets something else in place of one message.
type garbling struct {
	member
	left *int // messages until then
}

func (g garbling) RecvBytes(from, tag int) ([]byte, struct{}) {
	data, source := g.member.RecvBytes(from, tag)
	if *g.left--; *g.left == 0 {
		data = []byte("{")
	}
	return data, source
}

// What one rank can not read ends LeaseAll on all of them; nobody waits for a rank that has left.
func TestLeaseAllUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ rank, message int }{
		"a bid": {0, 1}, "an award": {1, 1}, "an outcome": {0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			sessions := sessionsOf(t, 3)
			ended := make(chan error, len(sessions))
			for rank, m := range group(len(sessions)) {
				left := 0
				if rank == c.rank {
					left = c.message
				}
				go func() {
					want := offload.Want{Executors: 1, Library: library, Oversubscribe: true, HotTimeout: offload.NeverHot}
					_, err := offload.LeaseAll(within(t), sessions[rank], garbling{m, &left}, want)
					ended <- err
				}()
			}
			for range sessions {
				select {
				case err := <-ended:
					if err == nil || !strings.Contains(err.Error(), "can not be read") {
						t.Errorf("a rank: %v", err)
					}
				case <-within(t).Done():
					t.Fatal("a rank still waits")
				}
			}
		})
	}
}
