package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// A node that drains keeps its leases and takes no new ones, until it is resumed; also when its manager
// has gone and come back meanwhile.
func TestDrainOutlivesItsManager(t *testing.T) {
	s := nodes(t, 2, 1)
	apply(t, s, grant("l1", 1))
	apply(t, s, ledger.DrainNode{Node: "n1", Reason: "new kernel", At: noon})
	for turn := range 2 {
		_, err := ledger.Apply(s, grant("l2", 1))
		want := `node "n1" drains (new kernel): its leases go on, but it takes no new ones; sublet node resume n1 ends that`
		if !errors.Is(err, ledger.ErrDraining) || err.Error() != want {
			t.Fatalf("turn %d: %v", turn, err)
		}
		if lease := apply(t, s, anywhere(fmt.Sprint("other", turn), 1)).Leases[0]; placement(lease) != "n2/0" {
			t.Errorf("a lease went to %s", placement(lease))
		}
		apply(t, s, ledger.Release{Lease: fmt.Sprint("other", turn)})
		if turn == 0 && s.Leases["l1"] == nil {
			t.Error("its lease has ended")
		}
		apply(t, s, ledger.RemoveNode{Node: "n1", At: noon})
		apply(t, s, node(0, 1))
	}
	apply(t, s, ledger.DrainNode{Node: "n1", At: noon.Add(time.Hour)})
	if diff := cmp.Diff(map[string]api.Drain{"n1": {Reason: "new kernel", Since: noon}}, s.Drains); diff != "" {
		t.Errorf("drained again (-want +got):\n%s", diff)
	}
	apply(t, s, ledger.ResumeNode{Node: "n1"})
	apply(t, s, ledger.ResumeNode{Node: "n1"}) // once more is no mistake
	apply(t, s, grant("l2", 2))
}

// Who is refused is told which nodes drain.
func TestRefusalsNameDrains(t *testing.T) {
	s := nodes(t, 2, 1, 1)
	apply(t, s, ledger.DrainNode{Node: "n1", At: noon})
	apply(t, s, ledger.DrainNode{Node: "n3", At: noon})
	_, err := ledger.Apply(s, anywhere("l", 2))
	want := "2 executors asked, 1 of 1 core on n2 is free; n1, n3 drain; ask for fewer, or for oversubscribed executors"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is removed on purpose comes back as if it had never been there.
func TestForgottenNode(t *testing.T) {
	s := nodes(t, 2, 1)
	apply(t, s, anywhere("l1", 3)) // on both
	apply(t, s, ledger.DrainNode{Node: "n1", At: noon})
	_, err := ledger.Apply(s, ledger.ForgetNode{Node: "n1", At: noon})
	if want := `node "n1" has executors of lease l1; drain it and wait for their end, or remove it by force`; !errors.Is(err, ledger.ErrInUse) || err.Error() != want {
		t.Errorf("removed while it is in use: %v", err)
	}
	shrunk := apply(t, s, ledger.ForgetNode{Node: "n1", Force: true, At: noon}).Leases
	if len(shrunk) != 1 || !shrunk[0].Ended.IsZero() || !shrunk[0].Executors[0].Lost || len(s.Drains) != 0 || s.Nodes["n1"] != nil {
		t.Errorf("left: %+v, %v", shrunk, s.Drains)
	}
	apply(t, s, ledger.Release{Lease: "l1", At: noon})
	apply(t, s, node(0))
	apply(t, s, grant("l2", 1))

	// One whose manager has gone can be forgotten as well.
	apply(t, s, ledger.DrainNode{Node: "n2", At: noon})
	apply(t, s, ledger.RemoveNode{Node: "n2", At: noon})
	apply(t, s, ledger.ForgetNode{Node: "n2", At: noon})
	if len(s.Drains) != 0 {
		t.Errorf("drains are left: %v", s.Drains)
	}
}

// A node whose allocation ends takes new leases until shortly before, and none from then on; one whose manager is about
// to end takes none at all. Leases that it has go on, and a manager that registers anew begins anew.
func TestOutlook(t *testing.T) {
	s := nodes(t, 2, 1)
	apply(t, s, grant("l1", 1))
	ends := noon.Add(time.Hour)
	apply(t, s, ledger.Foresee{Node: "n1", Outlook: api.Outlook{Ends: ends, LendsUntil: ends.Add(-time.Minute)}})
	if again, err := ledger.Apply(s, ledger.Foresee{Node: "n1", Outlook: s.Nodes["n1"].Outlook}); err != nil || !again.Unchanged {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	late := grant("l2", 1)
	late.At = ends.Add(-time.Minute)
	_, err := ledger.Apply(s, late)
	want := fmt.Sprintf(`node "n1" drains (its allocation ends at %s): its executor manager is about to end, and takes no new leases`, ends.Format(time.RFC3339))
	if !errors.Is(err, ledger.ErrDraining) || err.Error() != want {
		t.Errorf("a minute before the end: %v, want %s", err, want)
	}
	if drain := s.Drain("n1", late.At); drain == nil || !drain.Final || !drain.Since.Equal(late.At) {
		t.Errorf("a minute before the end: %+v", drain)
	}
	late.At = late.At.Add(-time.Nanosecond)
	apply(t, s, late)
	if s.Leases["l1"] == nil {
		t.Error("its lease has ended")
	}
	apply(t, s, ledger.Release{Lease: "l2"})

	apply(t, s, ledger.Foresee{Node: "n1", Outlook: api.Outlook{Leaving: "SIGTERM", Since: noon}})
	apply(t, s, ledger.ResumeNode{Node: "n1"}) // which is not in anybody's hands
	if _, err := ledger.Apply(s, grant("l2", 1)); !errors.Is(err, ledger.ErrDraining) {
		t.Errorf("of a manager that is about to end: %v", err)
	}
	if lease := apply(t, s, anywhere("other", 1)).Leases[0]; placement(lease) != "n2/0" {
		t.Errorf("a lease went to %s", placement(lease))
	}
	apply(t, s, ledger.RemoveNode{Node: "n1", At: noon})
	apply(t, s, node(0, 1))
	apply(t, s, grant("l2", 1))
}
