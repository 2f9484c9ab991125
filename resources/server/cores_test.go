package server

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// threaded asks for executors of several cores, and waits.
func (q queue) threaded(executors, cores int) *waiter {
	q.t.Helper()
	return q.want(api.GrantRequest{Executors: executors, CoresPerExecutor: cores, Wait: time.Minute})
}

// Cores of one executor come together, however many others are free on other nodes; who wants them is not
// passed by those who want one.
func TestSeveralCoresDoNotStarve(t *testing.T) {
	q := newQueue(t, 0, 1)
	register(t, q.book, noon, registration("m", "i", 0, 1))
	register(t, q.book, noon, registration("o", "i", 0, 1))
	var small []*waiter
	for range 6 {
		small = append(small, q.wait(1))
	}
	on := func(node string) (its []*waiter) {
		for _, w := range small {
			if w.lease.Executors[0].Node == node {
				its = append(its, w)
			}
		}
		return its
	}
	n, m, o := on("n"), on("m"), on("o")
	large := q.threaded(1, 2)
	passing := q.wait(1)
	q.release(n[0])
	q.release(m[0])
	q.release(o[0])
	q.expect("three cores are free, on three nodes", []int{0, 0}, large, passing)
	explained, err := q.explain(large.command.Lease, noon)
	check(t, err)
	if w := explained.Waiting; w.CoresPerExecutor != 2 || w.Asked[api.Cores] != 2 || w.Free[api.Cores] != 3 || w.Room != 0 || !w.CanBeMet || !strings.Contains(w.Reason, "1 executor of 2 cores each asked") {
		t.Errorf("it is explained as %+v", w)
	}
	q.release(n[1])
	q.expect("two cores of one node are free", []int{1, 1}, large, passing)
	if e := large.lease.Executors[0]; !slices.Equal([]int{0, 1}, slices.Collect(e.AllCores())) {
		t.Errorf("the executor has %+v", e)
	}
	tickets, err := q.tickets(large.lease, nil)
	check(t, err)
	if diff := cmp.Diff([]int{1}, tickets[0].Executors[0].More); diff != "" {
		t.Errorf("the ticket (-want +got):\n%s", diff)
	}
}

// Nodes that are too small for one of its executors are not kept for who wants several cores each.
func TestSmallNodesAreNotKept(t *testing.T) {
	q := newQueue(t, 0, 1, 2)
	register(t, q.book, noon, registration("small", "i", 0, 1))
	first := q.threaded(1, 2)
	large := q.threaded(1, 3)
	q.expect("two of three cores", []int{1, 0}, first, large)
	small := q.wait(2)
	q.expect("a node of two cores is free", []int{0, 2}, large, small)
	if on := small.lease.Nodes(); !slices.Equal(on, []string{"small"}) {
		t.Errorf("it is on %v", on)
	}
	passing := q.wait(1)
	shared := q.want(api.GrantRequest{Executors: 1, Oversubscribe: true})
	q.expect("one core of the large node is left to who has waited longer", []int{0, 0, 1}, large, passing, shared)
	if e := shared.lease.Executors[0]; !e.Oversubscribed || e.Core != api.NoCore {
		t.Errorf("it has %+v, which who has waited longer waits for", e)
	}
	explained, err := q.explain(passing.command.Lease, noon)
	check(t, err)
	if explained.Waiting.Behind != large.command.Lease {
		t.Errorf("it is explained as %+v", explained.Waiting)
	}
	q.release(first)
	q.expect("three cores are free", []int{1, 0}, large, passing)
}

// A quota counts cores, and not executors.
func TestQuotaOfSeveralCores(t *testing.T) {
	b := testBook(t)
	check(t, quotad(t, b, `{"default": {"cores": 5}}`, ""))
	register(t, b, noon, registration("n", "i", 0, 1, 2, 3, 4, 5, 6, 7))
	q := queue{b, t}
	q.expect("two of two", []int{2}, q.threaded(2, 2))
	if over := q.want(api.GrantRequest{Executors: 1, CoresPerExecutor: 2}); over.err == nil || !strings.Contains(over.err.Error(), "may have 5 cores at once and has 4, 2 more are asked for; ask for at most 1") {
		t.Errorf("two more of five: %v", over.err)
	}
	q.expect("one of one", []int{1}, q.wait(1))
}

func TestCoresThatAreRefused(t *testing.T) {
	q := newQueue(t, 0, 1)
	for _, cores := range []int{-1, api.MaxCoresPerExecutor + 1} {
		if _, err := q.ask(api.GrantRequest{UID: uid, Executors: 1, CoresPerExecutor: cores}, noon); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%d cores each: %v", cores, err)
		}
	}
	if w := q.want(api.GrantRequest{Executors: 1, CoresPerExecutor: 2, Oversubscribe: true}); !errors.Is(w.err, ledger.ErrInvalid) || !strings.Contains(w.err.Error(), "oversubscribed executors of 2 cores each") {
		t.Errorf("oversubscribed: %v", w.err)
	}
	if w := q.threaded(1, 3); w.err == nil || !strings.Contains(w.err.Error(), "ask for fewer cores each") {
		t.Errorf("more than there are: %v", w.err)
	}
}

// Of a node that was added with few of its cores, an executor of several has as many of these as it has cores.
func TestSeveralCoresOfANodeThatWasAdded(t *testing.T) {
	b := testBook(t)
	r, q := newRoster(b, filepath.Join(t.TempDir(), "nodes.json")), queue{b, t}
	_, err := r.add("n", config.Addition{Address: "10.0.0.1", Port: 10005, Cores: 3}, noon)
	check(t, err)
	_, err = r.register(registration("n", "i", 0, 1, 2, 3, 4), noon)
	check(t, err)
	beats := uint64(0)
	free := func(held ...api.Held) int64 {
		beats++
		_, err := r.heartbeat("n", api.Heartbeat{Instance: "i", Beat: beats, State: api.State{Held: held}}, noon)
		check(t, err)
		return b.state.Nodes["n"].Free()[api.Cores]
	}
	if w := q.threaded(1, 4); w.err == nil || !strings.Contains(w.err.Error(), "was added with 3 of its cores") || !strings.Contains(w.err.Error(), "ask for fewer cores each") {
		t.Errorf("four of three: %v", w.err)
	}
	w := q.threaded(1, 2)
	check(t, w.err)
	held := api.Held{Lease: w.lease.ID, UID: uid, Executors: []api.Placed{{Executor: w.lease.Executors[0]}}}
	if left := free(held); left != 1 {
		t.Errorf("an executor has two of three cores, and %d are free", left)
	}
	q.release(w)
	if left := free(); left != 3 {
		t.Errorf("%d of three cores are free", left)
	}
}
