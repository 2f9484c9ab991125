package offload_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/offload"
)

// lateSession makes a session that connects at its first lease; when the test is over nothing of it is left.
func lateSession(t *testing.T) *offload.Session {
	t.Helper()
	before := goleak.IgnoreCurrent()
	s, err := offload.Connect(within(t), offload.AtFirstLease())
	check(t, err)
	t.Cleanup(func() {
		check(t, s.Close())
		// os/exec waits for the helper, which may have other clients (newGate waits for its end).
		if err := goleak.Find(before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")); err != nil {
			t.Error(err)
		}
	})
	return s
}

func awaitNoHelper(t *testing.T) {
	t.Helper()
	waitFor(t, "end of helpers", func() bool { return len(children(t)) == 0 })
}

// gate has helpers started by a script of the test's, which notes each start in a file and then does as it is told.
type gate struct{ dir string }

func newGate(t *testing.T, then string) gate {
	t.Helper()
	awaitNoHelper(t)
	t.Cleanup(func() { awaitNoHelper(t) })
	g := gate{t.TempDir()}
	programs := os.Getenv("SUBLET_BIN")
	check(t, os.Symlink(filepath.Join(programs, "sublet-executor"), filepath.Join(g.dir, "sublet-executor")))
	script := fmt.Sprintf("echo start >>%q\nreal=%q\ngo=%q\n%s\n", g.starts(), filepath.Join(programs, "sublet"), g.goes(), then)
	buildtest.Script(t, filepath.Join(g.dir, "sublet"), script)
	t.Setenv("SUBLET_BIN", g.dir)
	return g
}

const (
	goesOn = `exec "$real" "$@"`
	// waits until it is opened.
	waits = `while [ ! -e "$go" ]; do sleep 0.01; done; ` + goesOn
)

func (g gate) starts() string { return filepath.Join(g.dir, "starts") }
func (g gate) goes() string   { return filepath.Join(g.dir, "go") }

func (g gate) open(t *testing.T) {
	t.Helper()
	check(t, os.WriteFile(g.goes(), nil, 0o600))
}

// started is how many helpers were.
func (g gate) started() int {
	text, _ := os.ReadFile(g.starts()) // there is none before the first
	return strings.Count(string(text), "\n")
}

func wantOne() offload.Want {
	return offload.Want{Executors: 1, Library: library, Oversubscribe: true}
}

// Nothing is started for a program that leases nothing, whatever else it does; the first lease starts a helper.
func TestAtFirstLease(t *testing.T) {
	g := newGate(t, goesOn)
	s := lateSession(t)
	host, err := os.Hostname()
	check(t, err)
	if s.Node() != host {
		t.Errorf("it is on node %q of host %q", s.Node(), host)
	}
	const n = 1000
	w := newToil(s, n, same(10))
	constant, err := s.Constant([]byte("stays"))
	check(t, err)
	var said []string
	say := func(text string) { said = append(said, text) }
	for _, plan := range []offload.Plan{
		{Items: n}, {Items: n, Share: offload.Auto}, {Items: n, Share: offload.Auto, Want: wantOne(), Say: say}, {Items: n, Share: 0, Want: wantOne()},
	} {
		sp, err := s.Split(within(t), plan)
		check(t, err)
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		if r := sp.Report(); r.Steps != 1 || r.Leases != 0 {
			t.Errorf("%+v", r)
		}
		check(t, sp.Close())
	}
	if g.started() != 0 || len(children(t)) != 0 || len(said) != 1 || !strings.Contains(said[0], "nothing was leased") {
		t.Errorf("%d helpers were started, and it said %q", g.started(), said)
	}
	check(t, constant.Free())

	l, err := s.Lease(within(t), wantOne())
	check(t, err)
	if g.started() != 1 || s.Node() != l.Executors()[0].Node() {
		t.Errorf("%d helpers were started, node %q, the executor's is %q", g.started(), s.Node(), l.Executors()[0].Node())
	}
	check(t, l.Release())
	check(t, s.Close())
	if _, err := s.Lease(within(t), wantOne()); !errors.Is(err, offload.ErrClosed) {
		t.Errorf("a lease of a session that was closed: %v", err)
	}
}

// A split with Auto connects in the background when a lease pays.
func TestAutoConnects(t *testing.T) {
	g := newGate(t, goesOn)
	s := lateSession(t)
	const n = 10_000
	w := newToil(s, n, same(1000))
	sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Want: wantOne(), Say: quiet(t)})
	waitFor(t, "lease", func() bool {
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		return sp.Report().Leases == 1 && w.remote > 0
	})
	if g.started() != 1 {
		t.Errorf("%d helpers were started", g.started())
	}
	check(t, sp.Close())
}

// Several who need the first lease at once share a connection.
func TestFirstLeasesAtOnce(t *testing.T) {
	g := newGate(t, goesOn)
	s := lateSession(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := s.Lease(within(t), wantOne()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if g.started() != 1 {
		t.Errorf("%d helpers were started", g.started())
	}
}

// Who gives up while it connects is not waited for, and the others connect all the same.
func TestFirstLeaseGivenUp(t *testing.T) {
	g := newGate(t, waits)
	s := lateSession(t)
	ctx, cancel := context.WithCancel(within(t))
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Lease(ctx, wantOne())
		first <- err
	}()
	waitFor(t, "start of the helper", func() bool { return g.started() > 0 })
	go func() {
		_, err := s.Lease(within(t), wantOne())
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who has given up: %v", err)
	}
	g.open(t)
	check(t, <-second)
}

// Close ends the connecting.
func TestCloseWhileConnecting(t *testing.T) {
	g := newGate(t, waits)
	s := lateSession(t)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Lease(within(t), wantOne())
		ended <- err
	}()
	waitFor(t, "start of the helper", func() bool { return g.started() > 0 })
	check(t, s.Close()) // with the gate closed
	if err := <-ended; err == nil {
		t.Error("a lease without a helper")
	}
	g.open(t) // and a helper comes, is not wanted, and ends
	began := time.Now()
	awaitNoHelper(t)
	t.Logf("it ended %v later", time.Since(began))
}

// Whenever Close comes, nothing is left.
func TestCloseAtAnyTime(t *testing.T) {
	awaitNoHelper(t)
	t.Cleanup(func() { awaitNoHelper(t) })
	for range 12 {
		s := lateSession(t)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if l, err := s.Lease(within(t), wantOne()); err == nil && len(l.Executors()) != 1 {
				t.Errorf("%d executors", len(l.Executors()))
			}
		}()
		pause := time.Duration(rand.Int64N(int64(60 * time.Millisecond)))
		<-time.After(pause)
		if err := s.Close(); err != nil {
			t.Errorf("Close after %v: %v", pause, err)
		}
		<-ended
	}
}

// What goes wrong is the error of the lease, is said by a split, and is tried again.
func TestFirstLeaseFails(t *testing.T) {
	g := newGate(t, `if [ ! -e "$go" ]; then exit 7; fi; `+goesOn)
	s := lateSession(t)
	if _, err := s.Lease(within(t), wantOne()); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("a helper that ends: %v", err)
	}
	var said []string
	const n = 1000
	w := newToil(s, n, same(1000))
	sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Want: wantOne(), Steps: 1_000_000, Say: func(text string) { said = append(said, text) }})
	waitFor(t, "word", func() bool {
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		return len(said) > 0
	})
	if r := sp.Report(); !strings.Contains(said[0], "no executors can be leased") || !strings.Contains(r.Off, "exit status 7") {
		t.Errorf("it said %q; %+v", said, r)
	}
	if _, err := s.AwaitPool(within(t), 0); err == nil {
		t.Error("a pool without a helper")
	}
	g.open(t)
	if _, err := s.Lease(within(t), wantOne()); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// What can be seen without asking anybody is the error of Connect.
func TestConnectSees(t *testing.T) {
	late := func(choices ...offload.Option) error {
		s, err := offload.Connect(within(t), append(choices, offload.AtFirstLease())...)
		if err == nil {
			check(t, s.Close())
		}
		return err
	}
	expect := func(err error, words ...string) {
		t.Helper()
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v; not a word of %q", err, word)
			}
		}
	}
	broken := filepath.Join(t.TempDir(), "access.json")
	check(t, os.WriteFile(broken, []byte("{"), 0o600))
	expect(late(offload.FromExecutorsDatabase(broken)), "executors database", broken)
	expect(late(offload.FromExecutorsDatabase(broken+".none")), "executors database")
	t.Run("run directory", func(t *testing.T) {
		t.Setenv("SUBLET_DIR", filepath.Dir(broken))
		expect(late(), broken)
	})
	t.Run("programs", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("SUBLET_BIN", dir)
		expect(late(), "no program sublet in", dir)
		check(t, os.Symlink(filepath.Join(filepath.Dir(library), "sublet"), filepath.Join(dir, "sublet")))
		expect(late(), "no program sublet-executor in", dir)
	})
}

// LeaseAll connects each rank, and one that can not be is an error on all.
func TestLeaseAllConnects(t *testing.T) {
	g := newGate(t, `if [ ! -e "$go" ]; then exit 7; fi; `+goesOn)
	sessions := []*offload.Session{lateSession(t), nil} // it looks when the other has been closed
	var err error
	sessions[1], err = offload.Connect(within(t), offload.AtFirstLease())
	check(t, err)
	t.Cleanup(func() { check(t, sessions[1].Close()) })
	want := func(int) (context.Context, offload.Want) { return within(t), wantOne() }
	_, errs := together(t, sessions, want)
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "exit status 7") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
	g.open(t)
	leases, errs := together(t, sessions, want)
	for rank, l := range leases {
		check(t, errs[rank])
		if s := sessions[rank]; s.Node() != l.Executors()[0].Node() {
			t.Errorf("rank %d is on node %q, its executor on %q", rank, s.Node(), l.Executors()[0].Node())
		}
	}
}
