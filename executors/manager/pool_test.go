package manager

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/control"
)

// newPooled is a manager with spares, which are stand-ins because their manager's environment says so.
func newPooled(t *testing.T, cores []core, size int) *Manager {
	t.Helper()
	t.Setenv(role, roleExecutor)
	self, err := os.Executable()
	check(t, err)
	m, err := New(Options{Executor: self, cores: cores, Pool: size})
	check(t, err)
	t.Cleanup(m.Close)
	return m
}

// full waits until the pool has as many as it wants, which are to be that many.
func (c *testClient) full(size int) {
	c.t.Helper()
	var pool control.Pool
	c.must(control.TypePool, control.Manager, control.Pool{Wait: patience}, &pool)
	if pool.Ready != size || pool.Wanted != size {
		c.t.Fatalf("a pool of %+v, want %d", pool, size)
	}
}

func (m *Manager) spares() map[int]bool {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	pids := map[int]bool{}
	for _, s := range m.pool.spares {
		pids[s.process.PID] = true
	}
	return pids
}

func TestSparesAreTakenOnceAndRefilled(t *testing.T) {
	cores := testCores(60, 3)
	m := newPooled(t, cores, 2)
	c, other := welcome(t, m), welcome(t, m)
	c.full(2)
	first := m.spares()
	granted, frame := c.mustLease(1)
	used := granted.Executors[0].PID
	if !first[used] {
		t.Errorf("process %d is none of the spares %v", used, first)
	}
	c.full(1) // of 3 cores one is this process's, and one is lent
	granted, _ = other.mustLease(1)
	if !first[granted.Executors[0].PID] || granted.Executors[0].PID == used {
		t.Errorf("the second lease has process %d of %v, the first %d", granted.Executors[0].PID, first, used)
	}
	c.full(0) // no core is free
	c.release()
	waitGone(t, frame.Files[0])
	c.full(1)
	if now := m.spares(); now[used] {
		t.Error("a process came back")
	}
}

// What a process inherits is told to a spare.
func TestSpareIsLikeAnyOther(t *testing.T) {
	cores := testCores(61, 2)
	m := newPooled(t, cores, 1)
	c := welcome(t, m)
	c.full(1)
	read, write, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { read.Close() })
	wanted := request(1, libraryGood)
	wanted.Environment = append(wanted.Environment, "TOLD=here and = there", "OMP_NUM_THREADS=3")
	wanted.Memory = 128 << 20
	var granted control.Granted
	spares := m.spares()
	_, err = c.ask(control.TypeLease, control.Manager, wanted, &granted, write)
	check(t, err)
	write.Close()
	if !spares[granted.Executors[0].PID] {
		t.Fatalf("process %d is none of the spares %v", granted.Executors[0].PID, spares)
	}
	if want := "pin [" + strconv.Itoa(cores[1].CPUs[0]); !strings.HasPrefix(granted.Functions[0].Name, want) {
		t.Errorf("%q, want %q", granted.Functions[0].Name, want)
	}
	var opened control.Opened
	c.must(control.TypeOpen, 0, control.Open{Transport: "environment"}, &opened)
	for _, variable := range []string{"TOLD=here and = there", "OMP_NUM_THREADS=3"} {
		if !strings.Contains(string(opened.Name), variable) {
			t.Errorf("no %s in %s", variable, opened.Name)
		}
	}
	c.must(control.TypeOpen, 0, control.Open{Transport: "memory"}, &opened)
	if string(opened.Name) != strconv.Itoa(128<<20) {
		t.Errorf("memory %s", opened.Name)
	}
	c.must(control.TypeOpen, 0, control.Open{Transport: "print"}, &opened)
	line := make([]byte, 64)
	check(t, read.SetReadDeadline(time.Now().Add(patience)))
	n, err := read.Read(line)
	if err != nil || string(line[:n]) != "printed by a function\n" {
		t.Errorf("%q, %v", line[:n], err)
	}
}

// Variables that are read when a process starts can not be told to one that has.
func TestSpareThatDoesNotFit(t *testing.T) {
	m := newPooled(t, testCores(62, 2), 1)
	c := welcome(t, m)
	c.full(1)
	spares := m.spares()
	wanted := request(1, libraryGood)
	wanted.Environment = append(wanted.Environment, "LD_LIBRARY_PATH=/somewhere")
	granted, _, err := c.lease(wanted)
	check(t, err)
	if spares[granted.Executors[0].PID] {
		t.Error("a spare has a lease that it does not fit")
	}
	var opened control.Opened
	c.must(control.TypeOpen, 0, control.Open{Transport: "environment"}, &opened)
	if !strings.Contains(string(opened.Name), "LD_LIBRARY_PATH=/somewhere") {
		t.Errorf("the environment is %s", opened.Name)
	}
}

func TestKilledSparesAreReplaced(t *testing.T) {
	m := newPooled(t, testCores(63, 3), 2)
	c := welcome(t, m)
	c.full(2)
	killed := m.spares()
	for pid := range killed {
		check(t, unix.Kill(pid, unix.SIGKILL))
	}
	c.mustLease(1) // whether the manager has noticed or not
	waitUntil(t, "the dead to be dropped", func() bool {
		for pid := range m.spares() {
			if killed[pid] {
				return false
			}
		}
		return true
	})
	c.release()
	c.full(2)
}

// A library that ends its process does so twice: nobody knows whether the spare had begun with it.
func TestSpareThatEndsWhileItLoads(t *testing.T) {
	m := newPooled(t, testCores(64, 2), 1)
	c := welcome(t, m)
	c.full(1)
	_, _, err := c.lease(request(1, libraryExit))
	wantCode(t, err, control.CodeStart, "exited with status 7 before it had loaded "+libraryExit)
	c.full(1)
	_, _, err = c.lease(request(1, libraryRefuse))
	wantCode(t, err, control.CodeLibrary, "refused")
	c.full(1)
	c.mustLease(1)
}

// Somebody builds another version while spares of the old one wait.
func TestSparesOfAnotherVersion(t *testing.T) {
	t.Setenv(role, roleExecutor)
	self, err := os.Executable()
	check(t, err)
	text, err := os.ReadFile(self)
	check(t, err)
	program := filepath.Join(t.TempDir(), "executor")
	buildtest.Executable(t, program, text)
	m, err := New(Options{Executor: program, cores: testCores(65, 2), Pool: 1})
	check(t, err)
	t.Cleanup(m.Close)
	c := welcome(t, m)
	c.full(1)
	old := m.spares()
	buildtest.Executable(t, program+".new", text)
	check(t, os.Rename(program+".new", program))
	granted, _ := c.mustLease(1)
	if old[granted.Executors[0].PID] {
		t.Error("a spare of the old version has the lease")
	}
}

// A lease over libfabric that no spare fits has those that follow load it, those that have not go, and where no
// core is free none takes their place.
func TestSparesWithoutLibfabric(t *testing.T) {
	for name, test := range map[string]struct{ seed, cores, left int }{"a core is free": {68, 3, 1}, "none is": {69, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			m := newPooled(t, testCores(test.seed, test.cores), 1)
			c := welcome(t, m)
			c.full(1)
			old := m.spares()
			wanted := request(1, libraryGood)
			wanted.Environment, wanted.Libfabric = append(wanted.Environment, "LD_LIBRARY_PATH=/somewhere"), true
			_, _, err := c.lease(wanted)
			check(t, err)
			waitUntil(t, "the old spare to go", func() bool {
				for pid := range m.spares() {
					if old[pid] {
						return false
					}
				}
				return true
			})
			c.full(test.left)
			m.pool.mu.Lock()
			defer m.pool.mu.Unlock()
			for _, s := range m.pool.spares {
				if !s.network {
					t.Error("a spare has not loaded libfabric")
				}
			}
		})
	}
}

func TestCloseEndsSpares(t *testing.T) {
	m := newPooled(t, testCores(66, 3), 2)
	c := welcome(t, m)
	c.full(2)
	var spares []*os.File
	for pid := range m.spares() {
		pidfd, err := unix.PidfdOpen(pid, 0)
		check(t, err)
		file := os.NewFile(uintptr(pidfd), "spare")
		t.Cleanup(func() { file.Close() })
		spares = append(spares, file)
	}
	m.Close()
	for _, file := range spares {
		waitGone(t, file)
	}
}

// Who does not wait is told how far the pool is.
func TestPoolThatStays(t *testing.T) {
	m := newPooled(t, testCores(67, 2), 1)
	c := welcome(t, m)
	c.full(1)
	defer m.pool.hold()() // as while a lease is being granted
	for pid := range m.spares() {
		check(t, unix.Kill(pid, unix.SIGKILL))
	}
	waitUntil(t, "the spare to be dropped", func() bool { return len(m.spares()) == 0 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if pool := m.pool.await(ctx, time.Hour); pool.Ready != 0 || pool.Wanted != 1 {
		t.Errorf("%+v", pool)
	}
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s", what)
		}
	}
}

// Spares without libfabric go when it is wanted; others take their places only where cores are free.
func TestOutdatedSpareIsNotReplacedWithoutCores(t *testing.T) {
	t.Setenv(role, roleExecutor)
	self, err := os.Executable()
	check(t, err)
	var said lockedBuffer
	m, err := New(Options{Executor: self, cores: testCores(69, 2), Pool: 1, Log: slog.New(slog.NewTextHandler(&said, nil))})
	check(t, err)
	t.Cleanup(m.Close)
	c := welcome(t, m)
	c.full(1)
	r := request(1, libraryGood)
	r.Environment = append(r.Environment, "LD_LIBRARY_PATH=/nowhere") // the spare does not fit
	r.Libfabric = true
	_, _, err = c.lease(r)
	check(t, err)
	for len(m.spares()) > 0 {
		_, changed := m.pool.state()
		if len(m.spares()) == 0 {
			break
		}
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatal("the outdated spare is still there")
		}
	}
	c.release()
	c.full(1)
	if text := said.String(); strings.Contains(text, "could not be started") {
		t.Error(text)
	}
}

// lockedBuffer is for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
