package hosts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// holdings is what a process has.
type holdings struct {
	descriptors, children int
	resident              int64 // bytes
}

// maxGrowth is by how much the memory of a process may grow whatever it has done: heaps breathe.
const maxGrowth = 16 << 20

func holdingsOf(t testing.TB, pid int) (h holdings) {
	t.Helper()
	folder := "/proc/" + strconv.Itoa(pid)
	descriptors, err := os.ReadDir(folder + "/fd")
	check(t, err)
	h.descriptors = len(descriptors)
	tasks, err := filepath.Glob(folder + "/task/*/children")
	check(t, err)
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err == nil { // else the thread has ended
			h.children += len(strings.Fields(string(children)))
		}
	}
	statm, err := os.ReadFile(folder + "/statm")
	check(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	check(t, err)
	h.resident = pages * int64(os.Getpagesize())
	return h
}

// ledger is what some processes have at the beginning, by what they are.
type ledger struct {
	pids   map[string]int
	before map[string]holdings
}

func open(t testing.TB, pids map[string]int) *ledger {
	t.Helper()
	l := &ledger{pids: pids, before: map[string]holdings{}}
	debug.FreeOSMemory()
	for name, pid := range pids {
		l.before[name] = holdingsOf(t, pid)
	}
	return l
}

// close fails the test if they have more at the end; what is about to be given back is waited for. It
// returns by how much the memory of each has grown.
func (l *ledger) close(t testing.TB) string {
	t.Helper()
	var grown []string
	for name, pid := range l.pids {
		before := l.before[name]
		hosts.Eventually(t, "descriptors and children of the "+name+" as before", func() bool {
			now := holdingsOf(t, pid)
			return now.descriptors <= before.descriptors && now.children <= before.children
		})
		debug.FreeOSMemory()
		more, most := holdingsOf(t, pid).resident-before.resident, int64(maxGrowth)
		if pid == os.Getpid() {
			most *= shadow
		}
		if more > most {
			t.Errorf("the %s has grown by %d bytes", name, more)
		}
		grown = append(grown, fmt.Sprintf("%s %+.1f MiB", name, float64(more)/(1<<20)))
	}
	return strings.Join(grown, ", ")
}

// end closes a session, of which nothing is left then.
func end(t testing.TB, s *offload.Session) {
	t.Helper()
	check(t, s.Close())
	for _, purpose := range []fabric.Purpose{fabric.Slots, fabric.Buffers, fabric.Constants, fabric.Mirrors} {
		if n, bytes := fabric.Usage(purpose); n != 0 {
			t.Errorf("%d %s of %d bytes are left", n, purpose, bytes)
		}
	}
}

// leaseOften has one lease after the other: each executor answers and is given back.
func leaseOften(t *testing.T, s *offload.Session, executors, times int) time.Duration {
	t.Helper()
	began := time.Now()
	for range times {
		l := lease(t, s, executors)
		for _, e := range l.Executors() {
			echo(t, s, e, 1000)
		}
		check(t, l.Release())
	}
	return time.Since(began)
}

// After thousands of leases there is as much to lend as before, and nobody has anything left of them.
func TestEnduranceLeases(t *testing.T) {
	embedded(t)
	cores := spare(t)
	s, err := offload.Connect(within(t))
	check(t, err)
	leaseOften(t, s, cores, 3)
	l := lease(t, s, cores)
	helper := parent(t, l.Executors()[0].PID())
	check(t, l.Release())
	book := open(t, map[string]int{"program": os.Getpid(), "helper": helper})
	times := endurance.Count(50, 2000)
	took := leaseOften(t, s, cores, times)
	l = lease(t, s, cores)
	if _, err := s.Lease(within(t), want(0)); !errors.Is(err, offload.ErrNoCapacity) {
		t.Errorf("with all %d cores lent there is another: %v", cores, err)
	}
	if now := parent(t, l.Executors()[0].PID()); now != helper {
		t.Errorf("the helper was process %d and is %d", helper, now)
	}
	check(t, l.Release())
	grown := book.close(t)
	end(t, s)
	endurance.Report(t, "%d leases of %d executors, %v each; capacity, descriptors, processes as before; memory: %s", times, cores, (took / time.Duration(times)).Round(100*time.Microsecond), grown)
}

// The same of leases on another host, granted by a resource manager.
func TestEnduranceRemoteLeases(t *testing.T) {
	c := newCluster(t)
	manager := c.Lend(t, hosts.New(t), "--name", "n", "--cores", "2")
	s, err := offload.Connect(within(t))
	check(t, err)
	client := c.Client(t)
	free := func() (cores int) {
		list, err := client.Nodes(within(t), "")
		check(t, err)
		for _, node := range list {
			cores += int(node.Free[api.Cores])
		}
		return cores
	}
	leaseOften(t, s, 2, 3)
	if free() != 2 {
		t.Errorf("%d cores are free", free())
	}
	book := open(t, map[string]int{"program": os.Getpid(), "executor manager": manager.Process.Pid, "resource manager": c.Manager.Process.Pid})
	times := endurance.Count(5, 200)
	took := leaseOften(t, s, 2, times)
	if free() != 2 {
		t.Errorf("%d cores are free", free())
	}
	grown := book.close(t)
	end(t, s)
	endurance.Report(t, "%d leases of 2 executors on another host, %v each; capacity, descriptors, processes as before; memory: %s", times, (took / time.Duration(times)).Round(100*time.Microsecond), grown)
}

// invokeOften has as many invocations in flight as there are slots, and looks at each answer.
func invokeOften(t *testing.T, s *offload.Session, l *offload.Lease, times int) time.Duration {
	t.Helper()
	const slots = fabric.DefaultSlots
	var futures [slots]offload.Future
	var in, out [slots]*offload.Buffer[int64]
	for i := range slots {
		in[i], out[i] = offload.Alloc[int64](s, 1), offload.Alloc[int64](s, 1)
	}
	ctx := t.Context()
	began := time.Now()
	for i := range times + slots {
		at := i % slots
		if i >= slots {
			if n, err := futures[at].Wait(ctx); err != nil || n != 8 || out[at].Slice()[0] != int64(i-slots) {
				t.Fatalf("invocation %d: %d bytes, %d, %v", i-slots, n, out[at].Slice()[0], err)
			}
		}
		if i < times {
			in[at].Slice()[0] = int64(i)
			futures[at] = l.Invoke(ctx, "echo", in[at], out[at])
		}
	}
	took := time.Since(began)
	for i := range slots {
		check(t, in[i].Free())
		check(t, out[i].Free())
	}
	return took
}

// A lease can be used as often as one likes. (In rFaaS invocations are numbered with 16 bits.)
func TestEnduranceInvocations(t *testing.T) {
	invocations := func(t *testing.T, lent func(t *testing.T)) {
		lent(t)
		s, err := offload.Connect(within(t))
		check(t, err)
		l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
		check(t, err)
		e := l.Executors()[0]
		pid := e.PID()
		invokeOften(t, s, l, 1000)
		book := open(t, map[string]int{"executor": pid, "manager": parent(t, pid)})
		times := endurance.Count(70_000, 1_000_000)
		took := invokeOften(t, s, l, times)
		if e.PID() != pid || l.Lost() != 0 {
			t.Errorf("%d executors were lost", l.Lost())
		}
		transport := e.Path().Transport
		for _, b := range []string{"executor", "manager"} {
			if now := holdingsOf(t, book.pids[b]); now.descriptors > book.before[b].descriptors || now.resident > book.before[b].resident+maxGrowth {
				t.Errorf("the %s had %+v and has %+v", b, book.before[b], now)
			}
		}
		check(t, l.Release())
		end(t, s)
		endurance.Report(t, "%d invocations on one lease, %v each, over %s", times, (took / time.Duration(times)).Round(10*time.Nanosecond), transport)
	}
	t.Run("here", func(t *testing.T) { invocations(t, embedded) })
	t.Run("on another host", func(t *testing.T) {
		invocations(t, func(t *testing.T) { newCluster(t).Lend(t, hosts.New(t), "--cores", "1") })
	})
}
