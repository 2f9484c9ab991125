package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

const gib = int64(1 << 30)

func nodeWith(memory int64, cores ...int) ledger.RegisterNode {
	command := node(cores...)
	command.Node.Memory = memory
	return command
}

func grantWith(lease string, executors int, memory int64) ledger.Grant {
	command := grant(lease, executors)
	command.Memory = memory
	return command
}

// amounts are what the executors of a lease have.
func amounts(lease api.Lease) (list []int64) {
	for _, e := range lease.Executors {
		list = append(list, e.Memory)
	}
	return list
}

func wantMemory(t *testing.T, s *ledger.State, command ledger.Command, want ...int64) {
	t.Helper()
	if diff := cmp.Diff(want, amounts(apply(t, s, command).Leases[0])); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", command, diff)
	}
}

func TestMemoryIsLentWithCores(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(8*gib, 0, 1, 2, 3))
	free := func(want int64) {
		t.Helper()
		if got := s.Nodes["n1"].Free()[api.Memory]; got != want {
			t.Errorf("%d bytes are free, want %d", got, want)
		}
	}
	wantMemory(t, s, grant("shares", 2), 2*gib, 2*gib)
	free(4 * gib)
	wantMemory(t, s, grantWith("large", 1, 3*gib), 3*gib)
	free(gib)
	wantMemory(t, s, grant("rest", 1), gib) // less than a share is left for the last core
	free(0)
	apply(t, s, ledger.Lose{Lease: "shares", Executor: 0})
	free(2 * gib)
	apply(t, s, ledger.Release{Lease: "large"})
	free(5 * gib)
	apply(t, s, ledger.Release{Lease: "shares"})
	apply(t, s, ledger.Release{Lease: "rest"})
	free(8 * gib)
}

// What shares a core shares its memory: it has a bound, but takes nothing from others.
func TestOversubscribedShareMemory(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(4*gib, 0, 1))
	command := grant("l1", 5)
	command.Oversubscribe = true
	wantMemory(t, s, command, 2*gib, 2*gib, 2*gib, 2*gib, 2*gib)
	command = grantWith("l2", 1, 3*gib)
	command.Oversubscribe = true
	wantMemory(t, s, command, 3*gib)
	apply(t, s, ledger.Release{Lease: "l1"})
	apply(t, s, ledger.Release{Lease: "l2"})
	// A free core without the memory is shared, too.
	apply(t, s, grantWith("l3", 1, 3*gib))
	command.Lease = "l4"
	lease := apply(t, s, command).Leases[0]
	if !lease.Executors[0].Oversubscribed {
		t.Errorf("%+v has memory that is lent", lease.Executors[0])
	}
}

func TestExecutorsGoWhereMemoryIs(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(2*gib, 0, 1, 2, 3))
	other := nodeWith(8*gib, 0, 1)
	other.Node.Name = "n2"
	apply(t, s, other)
	command := grantWith("l1", 2, 2*gib)
	command.Node = ""
	lease := apply(t, s, command).Leases[0]
	if diff := cmp.Diff([]string{"n2"}, lease.Nodes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	command.Lease = "l2"
	_, err := ledger.Apply(s, command)
	want := "2 executors with 2 GiB of memory each asked, 4 of 6 cores and 6 GiB of 10 GiB on 2 nodes are free, which is room for 1; cores 0-1 of n2 are lent to lease l1; ask for at most 1, for less memory (Want.Memory), again later, or for oversubscribed executors"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMemoryThatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		command ledger.Grant
		want    string
	}{
		{grantWith("l1", 1, 9*gib), "executors with 9 GiB of memory each asked, but n1 has 8 GiB; ask for less memory (Want.Memory)"},
		{grantWith("l1", 1, 5*gib), "1 executor with 5 GiB of memory each asked, 1 of 2 cores and 4 GiB of 8 GiB on n1 are free; core 0 is lent to lease l0; ask for less memory (Want.Memory), again later, or for oversubscribed executors"},
		{grantWith("l1", 1, 8*gib-1), "1 executor with 8 GiB of memory each asked, 1 of 2 cores and 4 GiB of 8 GiB on n1 are free; core 0 is lent to lease l0; ask for less memory (Want.Memory), again later, or for oversubscribed executors"},
		{grantWith("l1", 2, gib), "2 executors asked, 1 of 2 cores on n1 is free; core 0 is lent to lease l0; ask for at most 1, or for oversubscribed executors"},
	} {
		s := ledger.New()
		apply(t, s, nodeWith(8*gib, 0, 1))
		apply(t, s, grant("l0", 1))
		_, err := ledger.Apply(s, c.command)
		if !errors.As(err, new(*ledger.NoCapacity)) || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

// A lease of all memory leaves no share for the other cores.
func TestNoShareIsLeft(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(8*gib, 0, 1))
	apply(t, s, grantWith("l0", 1, 8*gib))
	_, err := ledger.Apply(s, grant("l1", 1))
	want := "1 executor with 64 MiB of memory each asked, 1 of 2 cores and 0 B of 8 GiB on n1 are free; core 0 is lent to lease l0; ask again later, or for oversubscribed executors"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestUnreasonableMemory(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(gib, 0, 1))
	apply(t, s, grant("l1", 1))
	placed := func(memory int64) ledger.Adopt {
		return ledger.Adopt{Lease: api.Lease{ID: "l1", UID: 7}, Executors: []api.Placed{{Executor: api.Executor{Node: "n1", Memory: memory}}}}
	}
	for name, command := range map[string]ledger.Command{
		"less than nothing":     grantWith("l2", 1, -1),
		"too little":            grantWith("l2", 1, api.MinMemory-1),
		"adopted with less":     placed(-1),
		"adopted with another":  placed(gib / 4),
		"adopted, as it is not": placed(0),
	} {
		if _, err := ledger.Apply(s, command); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	negative := nodeWith(-1, 0)
	negative.Node.Name = "n2"
	if _, err := ledger.Apply(s, negative); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a node with less than nothing: %v", err)
	}
	adopted := placed(gib)
	adopted.Lease.ID, adopted.Executors[0].Core = "l2", 1
	if _, err := ledger.Apply(s, adopted); !errors.As(err, new(*ledger.NoCapacity)) {
		t.Errorf("adopted with more than is free: %v", err)
	}
}

// A node's memory can be bound, and given back, while leases have some of it; they keep theirs.
func TestMemoryIsBoundWhileItIsLent(t *testing.T) {
	s := ledger.New()
	apply(t, s, nodeWith(4*gib, 0, 1, 2))
	wantMemory(t, s, grantWith("l1", 1, 2*gib), 2*gib)
	apply(t, s, ledger.BoundNode{Node: "n1", Memory: gib})
	if _, err := ledger.Apply(s, grantWith("l2", 1, gib)); err == nil {
		t.Error("more than is left was lent")
	}
	if has := s.Nodes["n1"].Record.Memory; has != 2*gib || len(s.Leases) != 1 {
		t.Errorf("%d bytes, %d leases", has, len(s.Leases))
	}
	if again, err := ledger.Apply(s, ledger.BoundNode{Node: "n1", Memory: gib}); err != nil || !again.Unchanged {
		t.Errorf("said again: %+v, %v", again, err)
	}
	apply(t, s, ledger.BoundNode{Node: "n1", Memory: 3 * gib})
	wantMemory(t, s, grantWith("l2", 1, gib), gib)
}
