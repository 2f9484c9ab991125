package server

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// A lease that somebody ends keeps its cores until its managers have ended it on each of its nodes; who waits
// gets them then.
func TestLeaseEndedByAnother(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n1", "i", 0))
	register(t, b, noon, registration("n2", "j", 0))
	lease := granted(t, b, noon, 2)
	beat(t, b, "n1", "i", 1, noon, held(lease, "n1"))
	beat(t, b, "n2", "j", 1, noon, held(lease, "n2"))
	w, err := b.ask(api.GrantRequest{Executors: 1, UID: uid, Wait: time.Minute}, noon)
	check(t, err)
	check(t, b.endLease(lease.ID, noon))
	check(t, b.endLease(lease.ID, noon)) // somebody is impatient
	if free(b) != 0 || w.err == nil {
		t.Fatal("its cores are free while its executors run")
	}
	if explanation, err := b.explain(lease.ID, noon); err != nil || explanation.State != api.LeaseEnding {
		t.Errorf("%+v, %v", explanation, err)
	}
	ended := api.State{Ended: []string{lease.ID}}
	for i, node := range []string{"n1", "n2"} {
		instance := []string{"i", "j"}[i]
		if reply := beat(t, b, node, instance, 2, noon, held(lease, node)); !slices.Equal(reply.End, []string{lease.ID}) {
			t.Errorf("%s is told to end %v", node, reply.End)
		}
		_, err := b.heartbeat(node, api.Heartbeat{Instance: instance, Beat: 3, State: ended}, noon)
		check(t, err)
		if node == "n1" {
			<-w.done
			check(t, w.err)
		}
	}
	if free(b) != 1 {
		t.Errorf("%d cores are free", free(b))
	}
	if err := b.endLease(lease.ID, noon); !errors.Is(err, api.ErrUnknownLease) {
		t.Errorf("ended once more: %v", err)
	}

	// Nobody has shown a ticket of this one.
	check(t, b.release(w.lease.ID, noon))
	lease = granted(t, b, noon, 2)
	b.send(lease.ID, fakeConn{})
	check(t, b.endLease(lease.ID, noon))
	if free(b) != 2 {
		t.Errorf("%d cores are free", free(b))
	}
	if reply := beat(t, b, "n1", "i", 4, noon, held(lease, "n1")); !slices.Equal(reply.End, []string{lease.ID}) {
		t.Errorf("a manager that was shown its ticket after all is told to end %v", reply.End)
	}
}

// What somebody wants ended ends also if its managers are silent meanwhile, are written off, and come back to
// another process with the same ledger.
func TestEndingIsRemembered(t *testing.T) {
	dir := emptyDirectory(t)
	b := bookIn(t, dir, noon)
	register(t, b, noon, registration("n1", "i", 0))
	register(t, b, noon, registration("n2", "j", 0))
	lease := granted(t, b, noon, 2)
	beat(t, b, "n1", "i", 1, noon, held(lease, "n1"))
	beat(t, b, "n2", "j", 1, noon, held(lease, "n2"))
	check(t, b.endLease(lease.ID, noon))
	b.shut()

	b = bookIn(t, dir, noon)
	if explanation, err := b.explain(lease.ID, noon); err != nil || explanation.State != api.LeaseEnding {
		t.Errorf("after a start: %+v, %v", explanation, err)
	}
	if reply := beat(t, b, "n1", "i", 2, noon, held(lease, "n1")); !slices.Equal(reply.End, []string{lease.ID}) {
		t.Errorf("n1 is told to end %v", reply.End)
	}
	_, err := b.heartbeat("n1", api.Heartbeat{Instance: "i", Beat: 3, State: api.State{Ended: []string{lease.ID}}}, noon)
	check(t, err)
	at := noon.Add(Silence + time.Millisecond)
	b.tick(at) // n2 is written off, and with it the lease
	if leases := b.leases(); len(leases) != 0 {
		t.Errorf("there is %+v", leases)
	}
	b.shut()

	at = at.Add(wishRemembered / 2)
	b = bookIn(t, dir, at)
	b.tick(at)
	again := registration("n2", "j", 0)
	again.Held = []api.Held{held(lease, "n2")}
	if reply := register(t, b, at, again); !slices.Equal(reply.End, []string{lease.ID}) {
		t.Errorf("n2, which comes back with it, is told to end %v", reply.End)
	}
	if leases := b.leases(); len(leases) != 0 {
		t.Errorf("it has come back: %+v", leases)
	}
	b.tick(noon.Add(wishRemembered + time.Second))
	if len(b.state.Ending) != 0 {
		t.Errorf("there is still remembered %v", b.state.Ending)
	}
}
