package server

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// After a start nodes, leases, keys and names of what has ended are there; managers and leases have their
// full time again to be heard of, however long nobody was there.
func TestWhatSurvivesARestart(t *testing.T) {
	dir := emptyDirectory(t)
	b := bookIn(t, dir, noon)
	register(t, b, noon, registration("n1", "i", 0, 1, 2))
	lasting, released := granted(t, b, noon, 1), granted(t, b, noon, 1)
	granted(t, b, noon, 1) // nobody uses it
	check(t, b.release(released.ID, noon))
	register(t, b, noon, registration("n2", "j", 0))
	b.shut()

	at := noon.Add(30 * time.Second) // longer than Silence and TTL
	b = bookIn(t, dir, at)
	b.tick(at.Add(Silence))
	if len(b.nodes("", at)) != 2 || len(b.leases()) != 2 {
		t.Fatalf("there are %+v and %+v", b.nodes("", at), b.leases())
	}
	for _, lease := range b.leases() {
		if !lease.Expires.Equal(at.Add(TTL)) {
			t.Errorf("lease %s expires at %v", lease.ID, lease.Expires)
		}
	}
	if _, err := b.register(registration("n1", "another", 0), at); !errors.Is(err, api.ErrExists) {
		t.Errorf("another manager of a name that is known: %v", err)
	}
	tickets, err := b.tickets(lasting, nil)
	check(t, err)
	if _, err := api.ParseTicket(tickets[0].Ticket, registration("", "").Key); err != nil {
		t.Errorf("a ticket of after the start: %v", err)
	}
	// The manager of n1 goes on as if nothing had been, and still has what was released; that of n2 is gone.
	at = at.Add(Silence + time.Millisecond)
	reply, err := b.heartbeat("n1", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Held: []api.Held{held(lasting, "n1"), held(released, "n1")}}}, at)
	check(t, err)
	if diff := cmp.Diff([]string{released.ID}, reply.End); diff != "" {
		t.Errorf("the manager is told to end (-want +got):\n%s", diff)
	}
	b.tick(at)
	if nodes := b.nodes("", at); len(nodes) != 1 || nodes[0].Name != "n1" {
		t.Errorf("after Silence there are %+v", nodes)
	}
	b.tick(noon.Add(30*time.Second + TTL))
	if leases := b.leases(); len(leases) != 0 { // neither the one that nobody had used, nor, without more heartbeats, the other
		t.Errorf("after TTL and Silence there are %+v", leases)
	}
}

// Heartbeats without news, renewals, refusals and ticks write nothing.
func TestNoNewsWriteNothing(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	lease := granted(t, b, noon, 1)
	state := api.State{Held: []api.Held{held(lease, "n")}, Occupants: map[int]string{}}
	at := noon
	beat := func(n uint64) {
		_, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: n, State: state}, at)
		check(t, err)
	}
	beat(1)
	revision := b.ledger.Revision()
	for n := uint64(2); n < 200; n++ {
		at = at.Add(Interval)
		beat(n)
		b.tick(at)
		_, err := b.renew(lease.ID, at)
		check(t, err)
		if err := ask(t, b, at, 1).err; !errors.As(err, new(*ledger.NoCapacity)) {
			t.Fatalf("a second lease: %v", err)
		}
	}
	if now := b.ledger.Revision(); now != revision {
		t.Errorf("%d commands were written", now-revision)
	}
	// What has ended is reported until it is answered, and written once.
	state = api.State{Ended: []string{lease.ID, "unknown"}}
	beat(1000)
	revision = b.ledger.Revision()
	for n := uint64(1001); n < 1010; n++ {
		beat(n)
	}
	if now := b.ledger.Revision(); now != revision {
		t.Errorf("%d commands were written for an end that is known", now-revision)
	}
}

// A manager whose node was removed while it was silent is told so by another process with the same ledger.
func TestRemovalSurvivesARestart(t *testing.T) {
	dir := emptyDirectory(t)
	b := bookIn(t, dir, noon)
	register(t, b, noon, registration("n", "i", 0))
	check(t, b.removeNode("n", false, noon))
	b.shut()
	for _, at := range []time.Time{noon, noon.Add(wishRemembered)} {
		b = bookIn(t, dir, at)
		b.tick(at)
		if _, err := b.register(registration("n", "i", 0), at); !errors.Is(err, api.ErrRemoved) {
			t.Errorf("%v later it registers: %v", at.Sub(noon), err)
		}
		if _, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 2}, at); !errors.Is(err, api.ErrRemoved) {
			t.Errorf("%v later it reports: %v", at.Sub(noon), err)
		}
		b.shut()
	}
	b = bookIn(t, dir, noon)
	register(t, b, noon, registration("n", "another", 0))
}
