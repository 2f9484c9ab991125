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
)

// A lease that nobody has shown a ticket of ends by itself; one that a manager holds does not.
func TestLeasesOnTheirWayExpire(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0, 1))
	forgotten, kept := granted(t, b, noon, 1), granted(t, b, noon, 1)
	for beat := uint64(1); beat <= 100; beat++ {
		at := noon.Add(time.Duration(beat) * Interval)
		reply, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: beat, State: api.State{Held: []api.Held{held(kept, "n")}}}, at)
		check(t, err)
		if len(reply.End) > 0 {
			t.Fatalf("beat %d: %v is to end", beat, reply.End)
		}
		b.tick(at)
		_, lasts := b.state.Leases[forgotten.ID]
		if want := at.Before(noon.Add(TTL)); lasts != want {
			t.Fatalf("after %v: lasts %v", at.Sub(noon), lasts)
		}
	}
	if _, lasts := b.state.Leases[kept.ID]; !lasts || free(b) != 1 {
		t.Errorf("the lease that is held: %v; %d cores are free", lasts, free(b))
	}
}

func TestSilentNodesAreWrittenOff(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n1", "i", 0))
	register(t, b, noon, registration("n2", "j", 0))
	lease := granted(t, b, noon, 2)
	at := noon.Add(Silence + time.Millisecond)
	_, err := b.heartbeat("n2", api.Heartbeat{Instance: "j", Beat: 1, State: api.State{Held: []api.Held{held(lease, "n2")}}}, at)
	check(t, err)
	b.tick(noon.Add(Silence))
	if len(b.nodes("", noon)) != 2 {
		t.Error("written off too soon")
	}
	b.tick(at)
	if nodes := b.nodes("", noon); len(nodes) != 1 || nodes[0].Name != "n2" {
		t.Errorf("left: %+v", nodes)
	}
	if _, err := b.heartbeat("n1", api.Heartbeat{Instance: "i", Beat: 1}, at); !errors.Is(err, api.ErrUnknownNode) {
		t.Errorf("a heartbeat of a node that was written off: %v", err)
	}
	// It comes back with what it has.
	r := registration("n1", "i", 0)
	r.Held = []api.Held{held(lease, "n1")}
	if reply := register(t, b, at, r); len(reply.End) > 0 {
		t.Errorf("%v is to end", reply.End)
	}
	now := b.leases()
	if len(now) != 1 || cmp.Diff(lease.Nodes(), now[0].Nodes()) != "" || free(b) != 0 {
		t.Errorf("leases %+v, %d cores are free", now, free(b))
	}
}

// What has been released stays released, whatever reports were on their way.
func TestReportsThatCameLate(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	lease := granted(t, b, noon, 1)
	check(t, b.release(lease.ID, noon))
	reply, err := b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 2, State: api.State{Held: []api.Held{held(lease, "n")}}}, noon)
	check(t, err)
	if diff := cmp.Diff([]string{lease.ID}, reply.End); diff != "" || free(b) != 1 {
		t.Errorf("a released lease came back; to end: %s", diff)
	}
	next := granted(t, b, noon, 1)
	_, err = b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 1, State: api.State{Ended: []string{next.ID}}}, noon)
	check(t, err)
	if free(b) != 0 {
		t.Error("a report from before was believed")
	}
	_, err = b.heartbeat("n", api.Heartbeat{Instance: "i", Beat: 3, State: api.State{Ended: []string{next.ID}}}, noon)
	check(t, err)
	if free(b) != 1 {
		t.Error("the end of a lease was not noticed")
	}
}

func TestNamesOfNodes(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n", "i", 0))
	if _, err := b.register(registration("n", "j", 0), noon); !errors.Is(err, api.ErrExists) || !strings.Contains(err.Error(), "--name") {
		t.Errorf("a second manager of one name: %v", err)
	}
	register(t, b, noon, registration("n", "i", 0)) // the first did not get the answer
	if err := b.deregister("n", "j", noon); !errors.Is(err, api.ErrUnknownNode) {
		t.Errorf("another's deregistration: %v", err)
	}
	check(t, b.deregister("n", "i", noon))
	register(t, b, noon, registration("n", "j", 0))
	stranger := registration("m", "i", 0)
	stranger.Node.UID = 8
	if _, err := b.register(stranger, noon); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("another user's node: %v", err)
	}
	keyless := registration("m", "i", 0)
	keyless.Key = nil
	if _, err := b.register(keyless, noon); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("a node without a key: %v", err)
	}
	if _, err := b.ask(api.GrantRequest{Executors: 1, UID: 8}, noon); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("another user's lease: %v", err)
	}
}

func TestTicketsOfALease(t *testing.T) {
	b := testBook(t)
	register(t, b, noon, registration("n1", "i", 0, 1))
	register(t, b, noon, registration("n2", "j", 4))
	lease := granted(t, b, noon, 3)
	tickets, err := b.tickets(lease, nil)
	check(t, err)
	seen := map[int]bool{}
	for _, access := range tickets {
		ticket, err := api.ParseTicket(access.Ticket, registration("", "").Key)
		check(t, err)
		if ticket.Node != access.Node || ticket.Lease != lease.ID || ticket.UID != uid || !ticket.Expires.Equal(noon.Add(TTL)) {
			t.Errorf("%+v", ticket)
		}
		for _, placed := range ticket.Executors {
			if seen[placed.Index] || !placed.Equal(lease.Executors[placed.Index]) {
				t.Errorf("%+v", placed)
			}
			seen[placed.Index] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("tickets for %d executors", len(seen))
	}
	check(t, b.deregister("n2", "j", noon))
	if _, err := b.tickets(api.Lease{Executors: []api.Executor{{Node: "n2"}}}, nil); !errors.Is(err, api.ErrNoCapacity) {
		t.Errorf("of a node that has gone: %v", err)
	}
}

// fakeManager is a manager as the book sees it: it holds what it was given, and comes and goes.
type fakeManager struct {
	name     string
	instance int
	beat     uint64
	up       bool
	held     map[string]api.Held
	ended    []string
}

func (m *fakeManager) state() api.State {
	s := api.State{Ended: m.ended}
	for _, h := range m.held {
		s.Held = append(s.Held, h)
	}
	return s
}

// Whatever managers and clients do, and in whatever order it arrives: no core is lent twice among
// what managers hold, and when all have ended, all cores are free again.
func TestNothingIsLentTwiceOrLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := emptyDirectory(t)
		b, at := bookIn(t, dir, noon), noon
		managers := map[string]*fakeManager{}
		for _, name := range []string{"a", "b"} {
			managers[name] = &fakeManager{name: name, held: map[string]api.Held{}}
		}
		var leases []api.Lease
		report := func(m *fakeManager) {
			var reply api.HeartbeatReply
			var err error
			if m.up {
				m.beat++
				reply, err = b.heartbeat(m.name, api.Heartbeat{Instance: fmt.Sprint(m.instance), Beat: m.beat, State: m.state()}, at)
				m.up = !errors.Is(err, api.ErrUnknownNode)
			}
			if !m.up {
				r := registration(m.name, fmt.Sprint(m.instance), 0, 1)
				r.State = m.state()
				reply, err = b.register(r, at)
				m.up = err == nil
			}
			if err == nil {
				m.ended = nil
			}
			for _, id := range reply.End {
				delete(m.held, id)
				m.ended = append(m.ended, id)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m := managers[rapid.SampledFrom([]string{"a", "b"}).Draw(t, "manager")]
			switch rapid.IntRange(0, 15).Draw(t, "what") {
			case 0, 1, 8, 9:
				report(m)
			case 2, 10, 11: // a client is granted a lease, and shows its tickets, or not
				w, err := b.ask(api.GrantRequest{
					Executors: rapid.IntRange(1, 3).Draw(t, "executors"), UID: uid, Placement: rapid.SampledFrom(api.Placements).Draw(t, "placement"),
				}, at)
				if err != nil {
					t.Fatal(err)
				}
				if w.err != nil {
					continue
				}
				leases = append(leases, w.lease)
				for _, name := range w.lease.Nodes() {
					if rapid.Bool().Draw(t, "shown") && admits(managers[name], w.lease) {
						managers[name].held[w.lease.ID] = held(w.lease, name)
					}
				}
			case 3, 12: // a lease ends at a manager
				for id := range m.held {
					delete(m.held, id)
					m.ended = append(m.ended, id)
					break
				}
			case 4, 13: // a client releases, or somebody else has a lease ended
				if len(leases) > 0 && rapid.IntRange(0, 2).Draw(t, "else") == 0 {
					_ = b.endLease(leases[rapid.IntRange(0, len(leases)-1).Draw(t, "lease")].ID, at)
				} else if len(leases) > 0 {
					i := rapid.IntRange(0, len(leases)-1).Draw(t, "lease")
					for _, m := range managers {
						if _, has := m.held[leases[i].ID]; has {
							delete(m.held, leases[i].ID)
							m.ended = append(m.ended, leases[i].ID)
						}
					}
					_ = b.release(leases[i].ID, at)
				}
			case 5, 14: // a manager is killed and started again
				m.instance++
				m.up, m.beat, m.held, m.ended = false, 0, map[string]api.Held{}, nil
			case 6, 15:
				at = at.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
				b.tick(at)
			case 7: // the resource manager ends and is started again, or without its ledger
				b.shut()
				if rapid.IntRange(0, 2).Draw(t, "lost") == 0 {
					dir = emptyDirectory(t)
				}
				b = bookIn(t, dir, at)
			}
			for _, m := range managers {
				holders := map[int]string{}
				for id, h := range m.held {
					for _, e := range h.Executors {
						if holders[e.Core] != "" {
							t.Fatalf("core %d of %s is held by %s and %s", e.Core, m.name, holders[e.Core], id)
						}
						holders[e.Core] = id
					}
				}
			}
		}
		for _, m := range managers {
			for id := range m.held {
				m.ended = append(m.ended, id)
			}
			m.held = map[string]api.Held{}
		}
		for range 3 {
			at = at.Add(TTL + Silence)
			b.tick(at)
			for _, m := range managers {
				report(m)
			}
		}
		if got := free(b); got != 4 || len(b.leases()) != 0 {
			t.Fatalf("when all is over %d of 4 cores are free, leases %+v", got, b.leases())
		}
	})
}

// admits is what the manager's own book says: it does not admit what it has lent.
func admits(m *fakeManager, lease api.Lease) bool {
	for _, e := range held(lease, m.name).Executors {
		for _, h := range m.held {
			for _, other := range h.Executors {
				if other.Core == e.Core {
					return false
				}
			}
		}
	}
	return true
}
