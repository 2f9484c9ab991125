package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// threaded asks for executors of several cores, on any node.
func threaded(lease string, executors, cores int) ledger.Grant {
	command := anywhere(lease, executors)
	command.CoresPerExecutor = cores
	return command
}

// places are the cores of a lease's executors.
func places(lease api.Lease) (all [][]int) {
	for _, e := range lease.Executors {
		all = append(all, slices.Collect(e.AllCores()))
	}
	return all
}

// The cores of an executor are as close together as free cores are, and come back together.
func TestCoresOfOneExecutor(t *testing.T) {
	s := ledger.New()
	apply(t, s, node(0, 1, 2, 3, 4, 5, 8, 9))
	apply(t, s, ledger.Occupy{Node: "n1", Core: 1, By: "rank pid 1"})
	first := apply(t, s, threaded("a", 2, 2)).Leases[0]
	if diff := cmp.Diff([][]int{{2, 3}, {4, 5}}, places(first)); diff != "" {
		t.Errorf("neighbors of seven cores (-want +got):\n%s", diff)
	}
	second := apply(t, s, threaded("b", 1, 3)).Leases[0]
	if diff := cmp.Diff([][]int{{0, 8, 9}}, places(second)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if held := second.Resources()[api.Cores]; held != 3 || s.Nodes["n1"].Free()[api.Cores] != 0 {
		t.Errorf("the lease has %d cores, %v are free", held, s.Nodes["n1"].Free())
	}
	apply(t, s, ledger.Lose{Lease: "a", Executor: 1})
	if diff := cmp.Diff([][]int{{4, 5}}, places(apply(t, s, threaded("c", 1, 2)).Leases[0])); diff != "" {
		t.Errorf("the cores of one that was lost (-want +got):\n%s", diff)
	}
	for _, lease := range []string{"a", "b", "c"} {
		apply(t, s, ledger.Release{Lease: lease, At: noon})
	}
	if free := s.Nodes["n1"].Free()[api.Cores]; free != 7 {
		t.Errorf("%d of 7 cores are free at the end", free)
	}
}

// Sockets often have every other core.
func TestCoresOfOneExecutorAreOnOneNUMANode(t *testing.T) {
	s := ledger.New()
	apply(t, s, ledger.RegisterNode{Node: api.Node{
		Name: "n1", UID: 7, Cores: []int{0, 1, 2, 3, 4, 5, 6, 7}, NUMA: map[int]int{0: 0, 1: 1, 2: 0, 3: 1, 4: 0, 5: 1, 6: 0, 7: 1},
	}})
	if diff := cmp.Diff([][]int{{0, 2, 4}, {1, 3, 5}}, places(apply(t, s, threaded("a", 2, 3)).Leases[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int{{6, 7}}, places(apply(t, s, threaded("b", 1, 2)).Leases[0])); diff != "" {
		t.Errorf("of two, where none has so many (-want +got):\n%s", diff)
	}
}

// Free cores of two nodes do not make one executor, and who asks is told so.
func TestCoresAreOnOneNode(t *testing.T) {
	s := nodes(t, 3, 3)
	result := apply(t, s, threaded("a", 2, 2)).Leases[0]
	if diff := cmp.Diff([]string{"n1", "n2"}, result.Nodes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := ledger.Apply(s, threaded("b", 1, 2))
	var missing *ledger.NoCapacity
	want := "1 executor of 2 cores each asked, 2 of 6 cores on 2 nodes are free, which is room for 0"
	if !errors.As(err, &missing) || !strings.HasPrefix(err.Error(), want) || !missing.CanBeMet() || !strings.HasSuffix(err.Error(), "those of one executor are on one node") {
		t.Errorf("two cores on two nodes: %v", err)
	}
	if _, err := ledger.Apply(s, threaded("b", 1, 4)); !errors.As(err, &missing) || missing.CanBeMet() {
		t.Errorf("more cores than any node has: %v", err)
	}
	if strings.Contains(err.Error(), "oversubscribed") {
		t.Errorf("it is advised to oversubscribe, which is refused: %v", err)
	}
	for _, c := range []struct {
		executors, cores int
		advice           string
	}{
		{1, 4, "; ask for fewer cores each (Want.CoresPerExecutor)"}, // fewer executors would not help
		{3, 2, "; ask for at most 2, or for fewer cores each"},       // nor would to ask again later
		{2, 3, "; ask again later, or for fewer cores each"},
	} {
		_, err := ledger.Apply(s, threaded("b", c.executors, c.cores))
		if err == nil || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("%d of %d cores each: %v, want %q", c.executors, c.cores, err, c.advice)
		}
	}
}

// Shares of memory go with cores.
func TestMemoryOfSeveralCores(t *testing.T) {
	s := ledger.New()
	apply(t, s, ledger.RegisterNode{Node: api.Node{Name: "n1", UID: 7, Cores: []int{0, 1, 2, 3}, Memory: 4 << 30}})
	if got := apply(t, s, threaded("a", 1, 3)).Leases[0].Executors[0].Memory; got != 3<<30 {
		t.Errorf("three of four cores come with %d bytes of 4 GiB", got)
	}
	if got := apply(t, s, anywhere("b", 1)).Leases[0].Executors[0].Memory; got != 1<<30 {
		t.Errorf("the last core comes with %d bytes", got)
	}
}

func TestCoresThatMakeNoSense(t *testing.T) {
	s := nodes(t, 4)
	oversubscribed := threaded("a", 1, 2)
	oversubscribed.Oversubscribe = true
	adopt := func(e api.Executor) ledger.Command {
		e.Node = "n1"
		return ledger.Adopt{Lease: api.Lease{ID: "a", UID: 7}, Executors: []api.Placed{{Executor: e}}}
	}
	for name, command := range map[string]ledger.Command{
		"less than none":       threaded("a", 1, -1),
		"far too many":         threaded("a", 1, api.MaxCoresPerExecutor+1),
		"oversubscribed":       oversubscribed,
		"descending":           adopt(api.Executor{Core: 2, More: []int{1}}),
		"twice the same":       adopt(api.Executor{Core: 1, More: []int{2, 2}}),
		"shared":               adopt(api.Executor{Core: 1, More: []int{2}, Oversubscribed: true}),
		"others without a one": adopt(api.Executor{Core: api.NoCore, More: []int{2}}),
	} {
		before := s.Clone()
		if _, err := ledger.Apply(s, command); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, s); diff != "" {
			t.Errorf("%s changed the state:\n%s", name, diff)
		}
	}
}

// A manager that comes back says which cores its executors have; others are not taken for these.
func TestAdoptingSeveralCores(t *testing.T) {
	s := nodes(t, 4)
	placed := api.Placed{Executor: api.Executor{Node: "n1", Core: 0, More: []int{1, 2}, Memory: 5}}
	command := ledger.Adopt{Lease: api.Lease{ID: "a", UID: 7}, Executors: []api.Placed{placed}}
	apply(t, s, command)
	if again := apply(t, s, command); !again.Unchanged || s.Nodes["n1"].Free()[api.Cores] != 1 {
		t.Errorf("twice the same: %+v, %v are free", again, s.Nodes["n1"].Free())
	}
	placed.More = []int{1, 3}
	command.Executors = []api.Placed{placed}
	if _, err := ledger.Apply(s, command); err == nil || !strings.Contains(err.Error(), "is on cores 0-2 of node") {
		t.Errorf("other cores: %v", err)
	}
	placed.Core, placed.More, placed.Index = 2, []int{3}, 1
	command.Executors = []api.Placed{placed}
	var missing *ledger.NoCapacity
	if _, err := ledger.Apply(s, command); !errors.As(err, &missing) {
		t.Errorf("a core that is lent: %v", err)
	}
}
