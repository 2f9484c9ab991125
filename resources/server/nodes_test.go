package server

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

func beat(t testing.TB, b *book, node, instance string, number uint64, at time.Time, held ...api.Held) api.HeartbeatReply {
	t.Helper()
	reply, err := b.heartbeat(node, api.Heartbeat{Instance: instance, Beat: number, State: api.State{Held: held}}, at)
	check(t, err)
	return reply
}

func stateOfNode(t testing.TB, b *book, name string, at time.Time) api.NodeState {
	t.Helper()
	node, err := b.node(name, at)
	check(t, err)
	return node.State
}

// A drained node keeps what it has; its manager is told, whether it reports or registers; and those who
// wait have its cores as soon as it is resumed.
func TestDrainedNode(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0, 1))
	lease := granted(t, b, noon, 1)
	check(t, b.drainNode("n", "new kernel", noon))
	reply := beat(t, b, "n", "i", 1, noon, held(lease, "n"))
	if reply.Drain == nil || reply.Drain.Reason != "new kernel" || len(reply.End) > 0 {
		t.Errorf("a report is answered with %+v", reply)
	}
	if again := beat(t, b, "n", "i", 1, noon, held(lease, "n")); again.Drain == nil {
		t.Error("a report that came twice is answered as if the node did not drain")
	}
	if state := stateOfNode(t, b, "n", noon); state != api.NodeDraining {
		t.Errorf("with a lease it is %s", state)
	}
	w, err := b.ask(api.GrantRequest{Executors: 1, UID: uid, User: "bob", Wait: time.Minute}, noon)
	check(t, err)
	explanation, err := b.explain(w.command.Lease, noon.Add(time.Second))
	check(t, err)
	waiting := explanation.Waiting
	if waiting == nil || !strings.Contains(waiting.Reason, "drains (new kernel)") || len(waiting.Draining) != 1 || waiting.Until.Sub(waiting.Since) != time.Minute {
		t.Errorf("it is explained as %+v", waiting)
	}
	check(t, b.release(lease.ID, noon))
	if state := stateOfNode(t, b, "n", noon); state != api.NodeDrained {
		t.Errorf("without leases it is %s", state)
	}
	status := b.status(noon)
	if status.Cores != (api.CoreCount{Total: 2, Draining: 2}) || len(status.Attention) != 1 || len(status.Waiting) != 1 {
		t.Errorf("%+v", status)
	}

	// The manager goes, and another one comes.
	check(t, b.deregister("n", "i", noon))
	if state := stateOfNode(t, b, "n", noon); state != api.NodeGone {
		t.Errorf("without a manager it is %s", state)
	}
	if reply := register(t, b, noon, registration("n", "j", 0, 1)); reply.Drain == nil {
		t.Error("a manager that registers is not told")
	}
	if w.err == nil {
		t.Fatal("it was lent while it drained")
	}
	check(t, b.resumeNode("n", noon))
	<-w.done
	check(t, w.err)
	if reply := beat(t, b, "n", "j", 1, noon); reply.Drain != nil {
		t.Error("it is told to drain after it was resumed")
	}
}

// A lease says when the first of its nodes' allocations ends, as they say now.
func TestLeaseKnowsItsAllocationsEnd(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("a", "i", 0))
	register(t, b, noon, registration("b", "j", 0))
	lease := granted(t, b, noon, 2)
	count := uint64(0)
	says := func(node, instance string, ends time.Time) {
		t.Helper()
		count++
		_, err := b.heartbeat(node, api.Heartbeat{Instance: instance, Beat: count, State: api.State{
			Held: []api.Held{held(lease, node)}, Outlook: api.Outlook{Ends: ends, LendsUntil: ends.Add(-time.Minute)},
		}}, noon)
		check(t, err)
	}
	expect := func(what string, ends time.Time) {
		t.Helper()
		one, err := b.oneLease(lease.ID)
		check(t, err)
		if all := b.leases(); len(all) != 1 || !all[0].AllocationEnds.Equal(ends) || !one.AllocationEnds.Equal(ends) {
			t.Errorf("%s: %v in the list, %v of itself, want %v", what, all[0].AllocationEnds, one.AllocationEnds, ends)
		}
	}
	expect("before anybody knows", time.Time{})
	says("a", "i", noon.Add(2*time.Hour))
	expect("one ends", noon.Add(2*time.Hour))
	says("b", "j", noon.Add(time.Hour))
	expect("the other ends before it", noon.Add(time.Hour))
	says("b", "j", noon.Add(3*time.Hour))
	expect("that was made longer", noon.Add(2*time.Hour))
	check(t, b.deregister("a", "i", noon))
	expect("the executors of the first are lost", noon.Add(3*time.Hour))
}

func TestSilentNodeIsSaidToBe(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	for after, want := range map[time.Duration]api.NodeState{Interval: api.NodeLending, 2*Interval + 1: api.NodeSilent} {
		if state := stateOfNode(t, b, "n", noon.Add(after)); state != want {
			t.Errorf("after %v it is %s, not %s", after, state, want)
		}
	}
}

// A manager that is removed is told so, whatever it says, and comes not back; another one may.
func TestRemovedNode(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	lease := granted(t, b, noon, 1)
	beat(t, b, "n", "i", 1, noon, held(lease, "n"))
	if err := b.removeNode("n", false, noon); !errors.Is(err, api.ErrInUse) || !strings.Contains(err.Error(), lease.ID) {
		t.Errorf("removed while in use: %v", err)
	}
	check(t, b.drainNode("n", "", noon))
	check(t, b.removeNode("n", true, noon))
	if len(b.leases()) != 0 || len(b.nodes("", noon)) != 0 {
		t.Error("something is left")
	}
	later := noon.Add(time.Hour)
	b.tick(later)
	if _, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 2}, later); !errors.Is(err, api.ErrRemoved) {
		t.Errorf("it reports: %v", err)
	}
	if _, err := b.register(registration("n", "i", 0), later); !errors.Is(err, api.ErrRemoved) {
		t.Errorf("it registers again: %v", err)
	}
	r := registration("n", "j", 0)
	r.Held = []api.Held{held(lease, "n")}
	if reply := register(t, b, noon.Add(time.Second), r); reply.Drain != nil {
		t.Error("the drain of the one that was removed is left")
	}
	for name, err := range map[string]error{"drain": b.drainNode("m", "", noon), "resume": b.resumeNode("m", noon), "remove": b.removeNode("m", true, noon)} {
		if !errors.Is(err, api.ErrUnknownNode) {
			t.Errorf("%s of a node that is not there: %v", name, err)
		}
	}
}

// A request that waits is told who has what it waits for, what is known of when it comes free, and behind whom it is.
func TestExplained(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n1", "i", 0, 1))
	register(t, b, noon, registration("n2", "j", 0))
	lease := granted(t, b, noon, 2)
	beat(t, b, "n1", "i", 1, noon, held(lease, "n1"))
	_, err := b.heartbeat("n2", api.Heartbeat{Instance: "j", Beat: 1, State: api.State{Occupants: map[int]string{0: "rank pid 5"}}}, noon)
	check(t, err)
	ask := func(executors int) *waiter {
		w, err := b.ask(api.GrantRequest{Executors: executors, UID: uid, User: "bob", Wait: time.Minute}, noon)
		check(t, err)
		return w
	}
	first, second := ask(2), ask(1)
	at := noon.Add(5 * time.Second)
	explanation, err := b.explain(first.command.Lease, at)
	check(t, err)
	w := explanation.Waiting
	if explanation.State != api.LeaseWaiting || w.Position != 1 || !w.CanBeMet || w.Behind != "" || len(w.Holders) != 2 {
		t.Fatalf("%+v", w)
	}
	if h := w.Holders[0]; h.Lease != lease.ID || h.Node != "n1" || len(h.Cores) != 2 || !strings.Contains(h.Free, "it has had it for 5s") || !h.FreeBy.IsZero() {
		t.Errorf("who has n1: %+v", h)
	}
	if h := w.Holders[1]; h.Lease != "" || h.By != "used by rank pid 5" || h.Free != "when that program ends" {
		t.Errorf("who has n2: %+v", h)
	}
	explanation, err = b.explain(second.command.Lease, at)
	check(t, err)
	if explanation.Waiting.Behind != first.command.Lease || explanation.Waiting.Position != 2 {
		t.Errorf("the second: %+v", explanation.Waiting)
	}

	// On the way it comes free by itself.
	b.send(lease.ID, fakeConn{})
	explanation, err = b.explain(first.command.Lease, at)
	check(t, err)
	if h := explanation.Waiting.Holders[0]; !h.FreeBy.Equal(noon.Add(TTL)) || !strings.Contains(h.Free, "in 15s at the latest") {
		t.Errorf("a lease on its way: %+v", h)
	}
	explanation, err = b.explain(lease.ID, at)
	check(t, err)
	if explanation.State != api.LeaseOnTheWay || len(explanation.Parts) != 1 || explanation.Parts[0].Node != "n1" || len(explanation.Parts[0].Executors) != 2 {
		t.Errorf("the lease: %+v", explanation)
	}
	b.tick(noon.Add(Silence + time.Second)) // both nodes are written off
	if _, err := b.explain(lease.ID, at); !errors.Is(err, api.ErrUnknownLease) {
		t.Errorf("a lease that has ended: %v", err)
	}
}

// fakeConn stands for a client's connection, of which only the identity counts.
type fakeConn struct{ net.Conn }
