package hosts_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// How long it may take, on an idle machine, from a loss until what was lost with it runs elsewhere,
// or is free again.
const (
	promisedAfterDeath   = 100 * time.Millisecond
	promisedAfterSilence = 2 * time.Second
	promisedAfterClient  = 2 * time.Second
)

// now is the time of the clock that all processes of a machine share.
func now(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	check(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	return time.Duration(ts.Nano())
}

// parent is the process that has started another.
func parent(t testing.TB, pid int) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	check(t, err)
	_, fields, _ := strings.Cut(string(stat), ") ")
	ppid, err := strconv.Atoi(strings.Fields(fields)[1])
	check(t, err)
	return ppid
}

// shared is a lease of an executor that may share its core.
func shared(t testing.TB, s *offload.Session) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
	check(t, err)
	return l
}

// timeRerun has one executor run an invocation that any of the lease may run, lets it be lost, and
// returns how long it took until the invocation ran again.
func timeRerun(t *testing.T, s *offload.Session, l *offload.Lease, victim *offload.Executor, lose func()) time.Duration {
	t.Helper()
	busy, in, out := offload.Alloc[uint32](s, 1), offload.Alloc[uint32](s, 1), offload.Alloc[int64](s, 1)
	busy.Slice()[0], in.Slice()[0] = 50, 300
	var others []offload.Future
	for _, e := range l.Executors() {
		if e != victim {
			others = append(others, e.Invoke(within(t), "began", busy, offload.Alloc[int64](s, 1)))
		}
	}
	f := l.Invoke(within(t), "began", in, out) // the victim has the least to do
	for _, other := range others {
		_, err := other.Wait(within(t))
		check(t, err)
	}
	at := now(t)
	lose()
	_, err := f.Wait(within(t))
	check(t, err)
	took := time.Duration(out.Slice()[0]) - at
	if took <= 0 {
		t.Fatalf("it was answered by who was lost: it began %v before", -took)
	}
	return took
}

// on is the executor of a lease that is on a node.
func on(t testing.TB, l *offload.Lease, node string) *offload.Executor {
	t.Helper()
	for _, e := range l.Executors() {
		if e.Node() == node {
			return e
		}
	}
	t.Fatalf("no executor is on node %s", node)
	return nil
}

func kill(t testing.TB, pid int) {
	t.Helper()
	check(t, syscall.Kill(pid, syscall.SIGKILL))
}

// ready waits for all executors of a lease, so that a test can begin anew.
func ready(t testing.TB, l *offload.Lease) {
	t.Helper()
	for _, e := range l.Executors() {
		hosts.Eventually(t, "an executor again", e.Ready)
	}
}

func TestEnduranceDetectionOfExecutor(t *testing.T) {
	embedded(t)
	s := session(t)
	// Neither executors nor who waits for them spin for long: on two cores they would keep the helper, which
	// notices, from running.
	l, err := s.Lease(within(t), offload.Want{Executors: 2, Library: library, Oversubscribe: true, HotTimeout: time.Millisecond})
	check(t, err)
	took := endurance.Watch()
	for i := range endurance.Count(3, 50) {
		victim := l.Executors()[i%2]
		took.Add(timeRerun(t, s, l, victim, func() { kill(t, victim.PID()) }))
		ready(t, l)
	}
	endurance.Report(t, "from kill -9 to the re-run's start, by shared memory: %v", took)
	took.Within(t, promisedAfterDeath)
}

func TestEnduranceDetectionOfRemoteExecutor(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "1")
	c.Lend(t, hosts.New(t), "--name", "b", "--cores", "1")
	s := session(t)
	l := lease(t, s, 2)
	took := endurance.Watch()
	for i := range endurance.Count(3, 50) {
		victim := l.Executors()[i%2]
		took.Add(timeRerun(t, s, l, victim, func() { kill(t, victim.PID()) }))
		ready(t, l)
	}
	endurance.Report(t, "from kill -9 on another host to the re-run's start: %v", took)
	took.Within(t, promisedAfterDeath)
}

// The helper takes all executors along: what is timed has another helper and another process in it.
func TestEnduranceDetectionOfHelper(t *testing.T) {
	embedded(t)
	s := session(t)
	l := shared(t, s)
	took := endurance.Watch()
	for range endurance.Count(3, 50) {
		victim := l.Executors()[0]
		took.Add(timeRerun(t, s, l, victim, func() { kill(t, parent(t, victim.PID())) }))
		ready(t, l)
	}
	endurance.Report(t, "from kill -9 of the helper to the re-run's start by another one's executor: %v", took)
	took.Within(t, promisedAfterDeath)
}

func TestEnduranceDetectionOfManager(t *testing.T) {
	c := newCluster(t)
	a := hosts.New(t)
	c.Lend(t, hosts.New(t), "--name", "b", "--cores", "1")
	s := session(t)
	took := endurance.Watch()
	for range endurance.Count(1, 10) {
		manager := c.Lend(t, a, "--name", "a", "--cores", "1") // when the one before has been written off
		l := lease(t, s, 2)
		took.Add(timeRerun(t, s, l, on(t, l, "a"), func() { manager.Signal(t, syscall.SIGKILL) }))
		check(t, l.Release())
	}
	endurance.Report(t, "from kill -9 of an executor manager to the re-run's start on another host: %v", took)
	took.Within(t, promisedAfterDeath)
}

func TestEnduranceDetectionOfSilence(t *testing.T) {
	c := newCluster(t)
	a := hosts.New(t)
	c.Lend(t, a, "--name", "a", "--cores", "1")
	c.Lend(t, hosts.New(t), "--name", "b", "--cores", "1")
	s := session(t)
	took := endurance.Watch()
	for range endurance.Count(1, 10) {
		l := lease(t, s, 2)
		var mend func()
		took.Add(timeRerun(t, s, l, on(t, l, "a"), func() { mend = a.Cut(t) }))
		hosts.Eventually(t, "the node's write-off", func() bool { _, nodes := c.Free(t); return nodes == 1 })
		mend()
		check(t, l.Release())
		hosts.Eventually(t, "the node's return", func() bool { free, nodes := c.Free(t); return nodes == 2 && free == 2 })
	}
	endurance.Report(t, "from the cut of the network to the re-run's start on another host: %v", took)
	took.Within(t, promisedAfterSilence)
}

func TestEnduranceClientIsKilled(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--cores", "2")
	took := endurance.Watch()
	for range endurance.Count(3, 50) {
		client := holder(t, c, 2)
		hosts.Eventually(t, "its lease", func() bool { free, _ := c.Free(t); return free == 0 })
		hosts.Eventually(t, "its executors", func() bool { return strings.Contains(client.Logged(), "holds core ") })
		client.End(t, syscall.SIGKILL)
		killed := time.Now()
		hosts.Eventually(t, "all cores", func() bool { free, _ := c.Free(t); return free == 2 })
		took.Add(time.Since(killed))
	}
	endurance.Report(t, "from kill -9 of a client until its cores can be leased: %v", took)
	took.Within(t, promisedAfterClient)
}
