package hosts_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// team has an executor's function start threads, and returns on which CPUs each of them may run.
func team(t *testing.T, s *offload.Session, e *offload.Executor) (threads [][]int) {
	t.Helper()
	const most = 64
	out := offload.Alloc[byte](s, most*cpus.Max/8)
	n, err := e.Invoke(within(t), "threads", nil, out).Wait(within(t))
	check(t, err)
	var set unix.CPUSet
	for part := range slices.Chunk(out.Slice()[:n], cpus.Max/8) {
		if _, err := binary.Decode(part, binary.NativeEndian, &set); err != nil {
			t.Fatal(err)
		}
		threads = append(threads, cpus.List(&set))
	}
	check(t, out.Free())
	return threads
}

// hasThreads checks that as many threads as an executor has cores may run on all of these, and on no others.
func hasThreads(t *testing.T, s *offload.Session, e *offload.Executor) {
	t.Helper()
	allowed, err := cpus.Allowed()
	check(t, err)
	whole, _, err := cpus.Physical(&allowed, cpus.Folder)
	check(t, err)
	var want []int
	for _, core := range whole {
		if slices.Contains(e.Cores(), core.ID) {
			want = append(want, core.CPUs...)
		}
	}
	slices.Sort(want)
	threads := team(t, s, e)
	if len(threads) != len(e.Cores()) || slices.ContainsFunc(threads, func(of []int) bool { return !slices.Equal(of, want) }) {
		t.Errorf("%s on cores %v has threads on CPUs %v, not each on %v", e, e.Cores(), threads, want)
	}
}

// Executors of two cores: each is on one node, has threads on both, and is replaced on both; what they had is free
// afterwards. An executor of one core has one.
func TestExecutorsOfSeveralCores(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "2")
	c.Lend(t, hosts.New(t), "--name", "b", "--cores", "2")
	s := session(t)
	// They do not spin: these hosts share two cores, which those who watch need too.
	threaded := offload.Want{Executors: 2, CoresPerExecutor: 2, Library: library, HotTimeout: time.Millisecond}
	l, err := s.Lease(within(t), threaded)
	check(t, err)
	for _, e := range l.Executors() {
		if len(e.Cores()) != 2 || e.Cores()[0] != e.Core() {
			t.Errorf("%s has core %d, and cores %v", e, e.Core(), e.Cores())
		}
		hasThreads(t, s, e)
	}
	if x, y := l.Executors()[0].Node(), l.Executors()[1].Node(); x == y {
		t.Errorf("both are on node %s", x)
	}
	leases, err := c.Client(t).Leases(t.Context())
	check(t, err)
	if len(leases) != 1 || leases[0].Executors[0].CoreCount() != 2 || leases[0].Executors[1].CoreCount() != 2 {
		t.Errorf("the resource manager has %+v", leases)
	}
	victim := l.Executors()[0]
	before := victim.Cores()
	if _, err := victim.Invoke(within(t), "crash", nil, nil).Wait(within(t)); err == nil {
		t.Error("a crash is no error")
	}
	hosts.Eventually(t, "another in its place", victim.Ready)
	if !slices.Equal(victim.Cores(), before) {
		t.Errorf("one on cores %v was replaced by one on %v", before, victim.Cores())
	}
	hasThreads(t, s, victim)
	check(t, l.Release())
	hosts.Eventually(t, "four free cores", func() bool { free, _ := c.Free(t); return free == 4 })

	l = lease(t, s, 3) // one node has one core left, and the other a lease of one of its own
	for _, e := range l.Executors() {
		hasThreads(t, s, e)
	}
	_, err = s.Lease(within(t), offload.Want{Executors: 1, CoresPerExecutor: 2, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "1 executor of 2 cores each asked, 1 of 4 cores on 2 nodes is free, which is room for 0") {
		t.Errorf("two cores of one: %v", err)
	}
	check(t, l.Release())
}

// Without a resource manager, with the memory that the database gives to their cores.
func TestSeveralCoresByADatabase(t *testing.T) {
	h := hosts.New(t)
	direct(t, managerEntry{"far", h.Address, 10005, 2, 256})
	lendDirect(t, h.Command(sublet), h.Address, 10005, "--name", "far", "--cores", "2")
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, CoresPerExecutor: 2, Library: library})
	check(t, err)
	e := l.Executors()[0]
	if e.Memory() != 256<<20 {
		t.Errorf("%s has %d bytes", e, e.Memory())
	}
	hasThreads(t, s, e)
	_, err = s.Lease(within(t), offload.Want{Executors: 2, CoresPerExecutor: 2, Library: library})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "2 executors of 2 cores each asked of the managers") {
		t.Errorf("more than there are: %v", err)
	}
	check(t, l.Release())
}
