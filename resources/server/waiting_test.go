package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// queue is a book whose clients wait.
type queue struct {
	*book
	t testing.TB
}

func newQueue(t testing.TB, cores ...int) queue {
	t.Helper()
	q := queue{testBook(t), t}
	register(t, q.book, noon, registration("n", "i", cores...))
	return q
}

func (q queue) wait(executors int) *waiter {
	q.t.Helper()
	return q.want(api.GrantRequest{Executors: executors, Wait: time.Minute})
}

func (q queue) want(request api.GrantRequest) *waiter {
	q.t.Helper()
	request.UID = uid
	w, err := q.ask(request, noon)
	check(q.t, err)
	return w
}

func (q queue) release(w *waiter) {
	q.t.Helper()
	check(q.t, q.book.release(w.lease.ID, noon))
}

// expect compares what waiters have: so many executors, or 0 while they wait.
func (q queue) expect(when string, want []int, waiters ...*waiter) {
	q.t.Helper()
	var have []int
	for _, w := range waiters {
		have = append(have, executors(w))
	}
	if diff := cmp.Diff(want, have); diff != "" {
		q.t.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

// executors that a waiter has been granted; 0: none yet, -1: refused.
func executors(w *waiter) int {
	select {
	case <-w.done:
		if w.err != nil {
			return -1
		}
		return len(w.lease.Executors)
	default:
		return 0
	}
}

// Many small leases come and go; the large one that waits is not passed by any of them.
func TestLargeLeaseDoesNotStarve(t *testing.T) {
	q := newQueue(t, 0, 1)
	a, b := q.wait(1), q.wait(1)
	large := q.wait(2)
	c, d := q.wait(1), q.wait(1)
	q.release(a)
	q.expect("one core is free", []int{0, 0, 0}, large, c, d)
	now := q.want(api.GrantRequest{Executors: 1})
	q.expect("one who does not wait", []int{-1}, now)
	var missing *ledger.NoCapacity
	if !errors.As(now.err, &missing) || missing.Kept != 2 ||
		!strings.HasSuffix(now.err.Error(), "; a lease that was asked for before waits, and what comes free is kept for it; wait as well, or ask for oversubscribed executors") {
		t.Errorf("one who does not wait is told %v", now.err)
	}
	q.release(b)
	q.expect("two cores are free", []int{2, 0, 0}, large, c, d)
	q.release(large)
	q.expect("after the large one", []int{1, 1}, c, d)
}

// Who gives up holds nobody up any more.
func TestGivingUp(t *testing.T) {
	q := newQueue(t, 0, 1)
	a := q.wait(1)
	large, small := q.wait(2), q.wait(1)
	q.expect("at first", []int{1, 0, 0}, a, large, small)
	q.giveUp(large, noon)
	q.giveUp(large, noon) // once more does no harm
	q.expect("then", []int{-1, 1}, large, small)
	if !strings.Contains(large.err.Error(), "1 of 2 cores") {
		t.Errorf("who gave up is told %v", large.err)
	}
}

// One who asks for more than there is waits for another node, and holds nobody up.
func TestWaitingForANode(t *testing.T) {
	q := newQueue(t, 0, 1)
	large := q.wait(3)
	a, b := q.wait(1), q.wait(1)
	q.expect("three of two", []int{0, 1, 1}, large, a, b)
	q.release(a)
	q.release(b)
	register(t, q.book, noon, registration("m", "j", 0))
	q.expect("another node", []int{3}, large)
	if len(large.lease.Nodes()) != 2 {
		t.Errorf("on %v", large.lease.Nodes())
	}
}

// A rank's core comes back when the rank ends, which no lease knows of.
func TestWaitingForARank(t *testing.T) {
	q := newQueue(t, 0, 1)
	beat := func(n uint64, by map[int]string) {
		_, err := q.heartbeat("n", api.Heartbeat{Instance: "i", Beat: n, State: api.State{Occupants: by}}, noon)
		check(t, err)
	}
	beat(1, map[int]string{0: "rank pid 5"})
	large, small := q.wait(2), q.wait(1)
	q.expect("a rank has a core", []int{0, 1}, large, small)
	beat(2, nil)
	late := q.wait(1)
	q.expect("the rank has ended", []int{0, 0}, large, late)
	q.release(small)
	q.expect("all cores are free", []int{2, 0}, large, late)
}

// Oversubscribed executors wait for nobody, and have none of the cores that somebody waits for,
// nor a share that would keep one from coming free.
func TestOversubscribedPassesWithoutACore(t *testing.T) {
	q := newQueue(t, 0, 1)
	a := q.wait(1)
	large := q.wait(2)
	shared := q.want(api.GrantRequest{Executors: 2, Oversubscribe: true})
	q.expect("at first", []int{1, 0, 2}, a, large, shared)
	for _, e := range shared.lease.Executors {
		if e.Core != api.NoCore || !e.Oversubscribed || e.Node != "n" {
			t.Errorf("%+v", e)
		}
	}
	q.release(a)
	q.expect("then", []int{2}, large)
}

// Whatever is asked for and given back: of those who wait for leases to end, nobody has been
// granted a core since the first of them came, but who came before.
func TestNobodyPassesTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes, cores = 3, 2
		b := testBook(t)
		for node := range nodes {
			if _, err := b.register(registration(fmt.Sprint("n", node), "i", 0, 1), noon); err != nil {
				t.Fatal(err)
			}
		}
		room := func(each int) (executors int) {
			for _, node := range b.state.Nodes {
				executors += int(node.Free()[api.Cores]) / each
			}
			return executors
		}
		var queue, lent []*waiter // in the order of coming
		for range rapid.IntRange(0, nodes*cores).Draw(t, "small ones at first") {
			w, err := b.ask(api.GrantRequest{Executors: 1, UID: uid}, noon)
			if err != nil {
				t.Fatal(err)
			}
			lent = append(lent, w)
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what < 2:
				each := rapid.IntRange(1, cores).Draw(t, "cores of each")
				w, err := b.ask(api.GrantRequest{Executors: rapid.IntRange(1, nodes*(cores/each)).Draw(t, "executors"), CoresPerExecutor: each, UID: uid, Wait: time.Minute}, noon)
				if err != nil {
					t.Fatal(err)
				}
				queue = append(queue, w)
			case what == 2 && len(lent) > 0:
				i := rapid.IntRange(0, len(lent)-1).Draw(t, "lease")
				if err := b.release(lent[i].lease.ID, noon); err != nil {
					t.Fatal(err)
				}
				lent = append(lent[:i:i], lent[i+1:]...)
			case what == 3 && len(queue) > 0:
				i := rapid.IntRange(0, len(queue)-1).Draw(t, "waiter")
				b.giveUp(queue[i], noon)
				queue = append(queue[:i:i], queue[i+1:]...)
			}
			for len(queue) > 0 && executors(queue[0]) > 0 {
				lent, queue = append(lent, queue[0]), queue[1:]
			}
			for i, w := range queue {
				if executors(w) != 0 {
					t.Fatalf("number %d of those who wait has %d executors", i, executors(w))
				}
			}
			if len(queue) == 0 {
				continue
			}
			first := queue[0].command
			if has := room(max(first.CoresPerExecutor, 1)); first.Executors <= has {
				t.Fatalf("there is room for %d, and the first waits for %d of %d cores each", has, first.Executors, first.CoresPerExecutor)
			}
		}
		for len(lent) > 0 {
			if err := b.release(lent[0].lease.ID, noon); err != nil {
				t.Fatal(err)
			}
			lent = lent[1:]
			for len(queue) > 0 && executors(queue[0]) > 0 {
				lent, queue = append(lent, queue[0]), queue[1:]
			}
		}
		if len(queue) > 0 {
			t.Fatalf("%d wait although all cores are free", len(queue))
		}
	})
}
