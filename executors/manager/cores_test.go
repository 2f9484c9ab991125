package manager

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// testCapacity is that of a node with invented cores.
func testCapacity(t *testing.T, cores []core) *capacity {
	t.Helper()
	node := api.Node{Name: "n", UID: os.Getuid()}
	for _, core := range cores {
		node.Cores = append(node.Cores, core.ID)
	}
	c, err := newCapacity(node, cores, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(c.close)
	return c
}

// An executor runs on all CPUs of all of its cores, which are claimed and given back together. A core that another
// manager has is no part of it.
func TestSeveralCoresAreClaimed(t *testing.T) {
	cores := testCores(130, 5)
	for i := range cores {
		cores[i].CPUs = []int{i, i + 8}
	}
	ours, others := testCapacity(t, cores), testCapacity(t, cores)
	other, err := others.grant(wanted{executors: 1})
	check(t, err)
	lease, err := ours.grant(wanted{executors: 2, cores: 2})
	check(t, err)
	var all [][]int
	for _, e := range lease.Executors {
		all = append(all, ours.cpus(e))
	}
	if diff := cmp.Diff([][]int{{1, 9, 2, 10}, {3, 11, 4, 12}}, all); diff != "" {
		t.Errorf("the executors' CPUs (-want +got):\n%s", diff)
	}
	if free := others.free(); free != 0 {
		t.Errorf("the other manager takes %d of these cores for free", free)
	}
	ours.lose(lease.ID, 0)
	if free := others.free(); free != 2 {
		t.Errorf("of an executor that was lost %d cores are free", free)
	}
	ours.release(lease.ID)
	others.release(other.ID)
	if _, err := ours.grant(wanted{executors: 1, cores: 5}); err != nil {
		t.Errorf("all cores came back, and one executor can not have them: %v", err)
	}
}

// An executor of several cores is no spare, may start as many threads as it has cores, and so may the one that
// replaces it.
func TestExecutorsOfSeveralCores(t *testing.T) {
	cores := testCores(131, 3)
	m := newPooled(t, cores, 2)
	c := welcome(t, m)
	c.full(2)
	spares := m.spares()
	wanted := request(1, libraryGood)
	wanted.CoresPerExecutor = 2
	wanted.Environment = append(wanted.Environment, "MKL_NUM_THREADS=5")
	granted, _, err := c.lease(wanted)
	check(t, err)
	e := granted.Executors[0]
	if e.Core != cores[1].ID || !slices.Equal(e.More, []int{cores[2].ID}) || spares[e.PID] {
		t.Errorf("executor %+v, spares %v", e, spares)
	}
	both := slices.Sorted(slices.Values(append(slices.Clone(cores[1].CPUs), cores[2].CPUs...)))
	if want := fmt.Sprintf("pin %v", slices.Compact(both)); granted.Functions[0].Name != want {
		t.Errorf("%q, want %q", granted.Functions[0].Name, want)
	}
	threads := func() {
		t.Helper()
		var opened control.Opened
		c.must(control.TypeOpen, 0, control.Open{Transport: "environment"}, &opened)
		for _, want := range []string{"OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=2", "MKL_NUM_THREADS=5"} {
			if !strings.Contains(string(opened.Name), want) {
				t.Errorf("the environment lacks %s", want)
			}
		}
	}
	threads()
	c.send(control.TypeKill, control.Manager, control.Kill{Executor: 0, PID: e.PID})
	var ended control.Ended
	c.expect(control.TypeEnded, &ended)
	var replaced control.Executor
	c.expect(control.TypeReplaced, &replaced)
	if replaced.Core != e.Core || !slices.Equal(replaced.More, e.More) || replaced.PID == e.PID {
		t.Errorf("executor %+v was replaced by %+v", e, replaced)
	}
	threads()
}

func TestCoresThatAreRefused(t *testing.T) {
	c := welcome(t, newManager(t, testCores(132, 3)))
	wanted := request(1, libraryGood)
	for _, test := range []struct {
		cores         int
		oversubscribe bool
		code          control.Code
		text          string
	}{
		{-1, false, control.CodeInvalid, "executors of -1 cores each"},
		{api.MaxCoresPerExecutor + 1, false, control.CodeInvalid, "1 to"},
		{2, true, control.CodeInvalid, "oversubscribed executors of 2 cores each"},
		{3, false, control.CodeNoCapacity, "1 executor of 3 cores each asked, 2 of 3 cores"},
	} {
		wanted.CoresPerExecutor, wanted.Oversubscribe = test.cores, test.oversubscribe
		_, _, err := c.lease(wanted)
		wantCode(t, err, test.code, test.text)
	}
}

// Who has a ticket gets what that says, whatever else it asks for.
func TestTicketSaysHowManyCores(t *testing.T) {
	cores := testCores(133, 4)
	c := testCapacity(t, cores)
	ticket := &api.Ticket{Lease: "l", UID: os.Getuid(), Executors: []api.Placed{
		{Index: 7, Executor: api.Executor{Core: cores[0].ID, More: []int{cores[2].ID, cores[3].ID}}},
	}}
	lease, err := c.adopt(ticket)
	check(t, err)
	if e := lease.Executors[0]; e.CoreCount() != 3 || len(c.cpus(e)) != 3 {
		t.Errorf("the executor is %+v", e)
	}
	if other := testCapacity(t, cores); other.free() != 1 {
		t.Error("its cores are not all claimed")
	}
	if _, lasts := c.state.Leases["l"]; !lasts || c.state.Nodes["n"].Free()[api.Cores] != 1 {
		t.Errorf("%v are free", c.state.Nodes["n"].Free())
	}
	if _, err := ledger.Apply(c.state, ledger.Replace{Lease: "l"}); err != nil {
		t.Errorf("the executor can not be replaced: %v", err)
	}
}
