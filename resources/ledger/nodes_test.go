package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// adopt has an executor of a lease on a core of n1.
func adopt(lease string, index, core int) ledger.Adopt {
	return ledger.Adopt{
		Lease:     api.Lease{ID: lease, UID: 7, User: "ann", Granted: noon},
		Executors: []api.Placed{{Index: index, Executor: api.Executor{Node: "n1", Core: core}}},
	}
}

// nodes registers n1, n2, ... with so many cores each.
func nodes(t *testing.T, cores ...int) *ledger.State {
	t.Helper()
	s := ledger.New()
	for i, count := range cores {
		node := api.Node{Name: fmt.Sprintf("n%d", i+1), UID: 7, User: "ann"}
		for core := range count {
			node.Cores = append(node.Cores, core)
		}
		apply(t, s, ledger.RegisterNode{Node: node})
	}
	return s
}

func anywhere(lease string, executors int) ledger.Grant {
	command := grant(lease, executors)
	command.Node = ""
	return command
}

func placement(lease api.Lease) string {
	var text []string
	for _, e := range lease.Executors {
		text = append(text, fmt.Sprintf("%s/%d", e.Node, e.Core))
	}
	return strings.Join(text, " ")
}

func TestLeaseOverSeveralNodes(t *testing.T) {
	s := nodes(t, 4, 2, 3)
	for _, c := range []struct {
		executors int
		want      string
	}{
		{3, "n3/0 n3/1 n3/2"}, // the one that fits best
		{2, "n2/0 n2/1"},      //
		{1, "n1/0"},           //
		{3, "n1/1 n1/2 n1/3"}, // all is lent now
	} {
		lease := apply(t, s, anywhere(fmt.Sprintf("l%d", len(s.Leases)), c.executors)).Leases[0]
		if got := placement(lease); got != c.want {
			t.Errorf("%d executors: %s, want %s", c.executors, got, c.want)
		}
	}
	_, err := ledger.Apply(s, anywhere("more", 1))
	want := "1 executor asked, 0 of 9 cores on 3 nodes are free; core 0 of n1 is lent to lease l2; cores 1-3 of n1 are lent to lease l3; cores 0-1 of n2 are lent to lease l1; cores 0-2 of n3 are lent to lease l0; ask again later, or for oversubscribed executors"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Over several nodes it is all or nothing.
func TestAllOrNothing(t *testing.T) {
	s := nodes(t, 2, 2)
	if got := placement(apply(t, s, anywhere("l1", 3)).Leases[0]); got != "n1/0 n1/1 n2/0" {
		t.Errorf("three of two and two: %s", got)
	}
	before := s.Clone()
	if _, err := ledger.Apply(s, anywhere("l2", 2)); !errors.As(err, new(*ledger.NoCapacity)) {
		t.Errorf("two of one: %v", err)
	}
	if diff := cmp.Diff(before, s); diff != "" {
		t.Errorf("a refusal changed the state:\n%s", diff)
	}
	_, err := ledger.Apply(ledger.New(), anywhere("l1", 1))
	if err == nil || !strings.Contains(err.Error(), "sublet executor-manager") {
		t.Errorf("without nodes: %v", err)
	}
}

// Cores that are kept are not lent, and what is oversubscribed has no share of the others.
func TestKeptCores(t *testing.T) {
	s := nodes(t, 2, 1)
	command := anywhere("l1", 2)
	command.Keep = 2
	_, err := ledger.Apply(s, command)
	var missing *ledger.NoCapacity
	want := "2 executors asked, 3 of 3 cores on 2 nodes are free; a lease that was asked for before waits, and what comes free is kept for it; wait as well, or ask for oversubscribed executors"
	if !errors.As(err, &missing) || err.Error() != want || !missing.CanBeMet() {
		t.Errorf("two of three, of which two are kept: %v", err)
	}
	command.Oversubscribe = true
	if got := placement(apply(t, s, command).Leases[0]); got != "n1/0 n2/-1" {
		t.Errorf("oversubscribed, two of them: %s", got)
	}
	command.Lease, command.Executors, command.Keep, command.Oversubscribe = "l2", 4, 1, false
	if _, err := ledger.Apply(s, command); !errors.As(err, &missing) || missing.CanBeMet() {
		t.Errorf("four of three: %v", err)
	}
}

func TestLeaseShrinksWithItsNodes(t *testing.T) {
	s := nodes(t, 1, 1, 1)
	apply(t, s, anywhere("l1", 3))
	lease := apply(t, s, ledger.RemoveNode{Node: "n2", At: noon}).Leases[0]
	if diff := cmp.Diff([]string{"n1", "n3"}, lease.Nodes()); diff != "" || !lease.Ended.IsZero() {
		t.Errorf("after the loss of a node: ended %v, nodes %s", lease.Ended, diff)
	}
	lease = apply(t, s, ledger.ReleasePart{Lease: "l1", Node: "n1", At: noon}).Leases[0]
	if diff := cmp.Diff([]string{"n3"}, lease.Nodes()); diff != "" || s.Nodes["n1"].Free()[api.Cores] != 1 {
		t.Errorf("after the end of a part: %s", diff)
	}
	lease = apply(t, s, ledger.RemoveNode{Node: "n3", At: noon}).Leases[0]
	if !lease.Ended.Equal(noon) || len(s.Leases) != 0 {
		t.Errorf("after the loss of all nodes: ended %v", lease.Ended)
	}
}

// A node that was written off brings its executors back, to a lease that goes on or has ended.
func TestReturn(t *testing.T) {
	for _, size := range []int{1, 2} {
		s := nodes(t, 1, 1)
		granted := apply(t, s, anywhere("l1", size)).Leases[0]
		apply(t, s, ledger.RemoveNode{Node: "n1", At: noon})
		apply(t, s, ledger.RegisterNode{Node: api.Node{Name: "n1", UID: 7, Cores: []int{0}}})
		back := apply(t, s, adopt("l1", 0, 0)).Leases[0]
		if got, want := placement(back), placement(granted); got != want || back.Executors[0].Lost {
			t.Errorf("of %d: %s came back as %s", size, want, got)
		}
		apply(t, s, adopt("l1", 0, 0)) // once more is no news
		if s.Nodes["n1"].Free()[api.Cores] != 0 {
			t.Error("the core is free")
		}
	}
}

func TestExpiry(t *testing.T) {
	s := nodes(t, 2)
	for _, lease := range []string{"short", "renewed"} {
		apply(t, s, anywhere(lease, 1))
	}
	if ended := apply(t, s, ledger.Expire{Leases: []string{"short", "unknown"}, At: noon, Remember: noon.Add(time.Minute)}).Leases; len(ended) != 1 || ended[0].ID != "short" || !ended[0].Ended.Equal(noon) {
		t.Errorf("ended: %+v", ended)
	}
	if len(s.Leases) != 1 || s.Nodes["n1"].Free()[api.Cores] != 1 {
		t.Errorf("left: %v", s.Leases)
	}
	if !apply(t, s, ledger.Expire{Leases: []string{"short"}, At: noon}).Unchanged {
		t.Error("once more changes something")
	}
}

// Names of what has ended are kept as long as they are to be.
func TestEndedNames(t *testing.T) {
	s := nodes(t, 1, 1)
	remember := noon.Add(time.Minute)
	apply(t, s, anywhere("two", 2))
	apply(t, s, ledger.ReleasePart{Lease: "two", Node: "n1", At: noon, Remember: remember})
	want := ledger.Names{"two@n1": remember}
	ended := func(when string) {
		t.Helper()
		if diff := cmp.Diff(want, s.Ended); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	ended("after a part")
	apply(t, s, ledger.ReleasePart{Lease: "two", Node: "n2", At: noon, Remember: remember})
	want["two@n2"], want["two"] = remember, remember
	ended("after the other part")
	apply(t, s, anywhere("one", 1))
	apply(t, s, ledger.Release{Lease: "one", At: noon})
	ended("after an end that is not remembered")
	apply(t, s, ledger.Remember{Name: "unknown", Until: noon})
	want["unknown"] = noon
	ended("after what was never known")
	if !apply(t, s, ledger.Remember{Name: "unknown", Until: noon}).Unchanged || !apply(t, s, ledger.Forget{At: noon}).Unchanged {
		t.Error("what is known is news, or forgotten too soon")
	}
	apply(t, s, ledger.Forget{At: noon.Add(time.Second)})
	delete(want, "unknown")
	ended("a second later")
}
