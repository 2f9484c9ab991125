package manager

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

func wantCode(t testing.TB, err error, code control.Code, text string) {
	t.Helper()
	var failed *control.Failed
	if !errors.As(err, &failed) || failed.Code != code || !strings.Contains(failed.Text, text) {
		t.Errorf("got %#v, want %s with %q", err, code, text)
	}
}

func TestLeaseIsGrantedRelayedAndReleased(t *testing.T) {
	cores := testCores(1, 3)
	m := newManager(t, cores)
	c := connect(t, m)
	if w := c.hello(); w.Cores != 2 || w.Node == "" || w.Protocol != control.Protocol {
		t.Errorf("welcome %+v, want 2 cores: one of 3 is this process's", w)
	}
	granted, frame := c.mustLease(2)
	for i, e := range granted.Executors {
		if e.Index != i || e.Core < cores[1].ID || e.Core > cores[2].ID || e.Oversubscribed {
			t.Errorf("executor %d is %+v", i, e)
		}
		var opened control.Opened
		c.must(control.TypeOpen, i, control.Open{}, &opened)
		if opened.Wire != e.PID {
			t.Errorf("executor %d is process %d, but %d answers", i, e.PID, opened.Wire)
		}
	}
	want := []control.Function{{Name: fmt.Sprintf("pin %v", cores[1].CPUs), ABI: 2}, {Name: "at sublet-executor", ABI: 2}}
	if diff := cmp.Diff(want, granted.Functions); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}

	memory, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	check(t, err)
	file := os.NewFile(uintptr(memory), "test")
	defer file.Close()
	check(t, file.Truncate(4321))
	var mapped control.Mapped
	reply := c.must(control.TypeMap, 1, control.Map{Region: 5}, &mapped, file)
	if mapped.Address != 4321 {
		t.Errorf("through the manager came %+v", mapped)
	}
	if len(reply.Files) != 0 {
		t.Errorf("an executor has given its client %d descriptors", len(reply.Files))
	}

	c.release()
	for _, pidfd := range frame.Files {
		waitGone(t, pidfd)
	}
	c.mustLease(2) // the connection and the cores can be used again
}

func TestRefusedRequests(t *testing.T) {
	m := newManager(t, testCores(2, 2))
	c := welcome(t, m)
	relative := request(1, "lib.so")
	badName := request(1, libraryGood)
	badName.Environment = append(badName.Environment, "NOVALUE")
	for name, r := range map[string]control.LeaseRequest{
		"none": request(0, libraryGood), "too many": request(1025, libraryGood), "relative": relative, "environment": badName,
	} {
		if _, _, err := c.lease(r); err == nil {
			t.Errorf("%s: granted", name)
		} else {
			wantCode(t, err, control.CodeInvalid, "")
		}
	}
	_, err := c.ask(control.TypeLease, control.Manager, request(1, libraryGood), nil)
	wantCode(t, err, control.CodeInvalid, "descriptor")
	_, err = c.ask(control.TypeRelease, control.Manager, nil, nil)
	wantCode(t, err, control.CodeInvalid, "no lease")
	_, err = c.ask("nonsense", control.Manager, nil, nil)
	wantCode(t, err, control.CodeInvalid, `"nonsense"`)
	_, err = c.ask(control.TypeOpen, 0, control.Open{}, nil)
	wantCode(t, err, control.CodeInvalid, "no lease")

	granted, _ := c.mustLease(1)
	_, _, err = c.lease(request(1, libraryGood))
	wantCode(t, err, control.CodeInvalid, "already")
	_, err = c.ask(control.TypeOpen, 1, control.Open{}, nil)
	wantCode(t, err, control.CodeInvalid, "no executor 1")

	other := welcome(t, m)
	_, _, err = other.lease(request(1, libraryGood))
	wantCode(t, err, control.CodeNoCapacity, fmt.Sprintf("is used by rank pid %d", os.Getpid()))
	wantCode(t, err, control.CodeNoCapacity, "lent to lease "+granted.Lease)
	_, _, err = other.lease(request(1000, libraryGood))
	wantCode(t, err, control.CodeNoCapacity, "1000 executors asked")
}

func TestOversubscribedExecutorsAreMarked(t *testing.T) {
	c := welcome(t, newManager(t, testCores(3, 2)))
	r := request(3, libraryGood)
	r.Oversubscribe = true
	granted, _, err := c.lease(r)
	check(t, err)
	var marks []bool
	for _, e := range granted.Executors {
		marks = append(marks, e.Oversubscribed)
	}
	if diff := cmp.Diff([]bool{false, true, true}, marks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Executors = control.MaxDescriptors + 1
	_, _, err = welcome(t, c.of).lease(r)
	wantCode(t, err, control.CodeLimit, "several leases")
}

func TestExecutorsThatDoNotStart(t *testing.T) {
	m := newManager(t, testCores(4, 2))
	c := welcome(t, m)
	for library, want := range map[string]struct {
		code control.Code
		text string
	}{
		libraryRefuse: {control.CodeLibrary, "refused"},
		libraryExit:   {control.CodeStart, "exited with status 7 before it had loaded " + libraryExit},
		libraryBabble: {control.CodeStart, "a frame of 4294967295 bytes"},
	} {
		_, _, err := c.lease(request(1, library))
		wantCode(t, err, want.code, want.text)
	}
	c.mustLease(1) // nothing was left behind
}

func TestExecutorProgramIsMissing(t *testing.T) {
	t.Setenv("SUBLET_BIN", "/nowhere")
	for program, want := range map[string]string{"/absent/sublet-executor": "/absent/sublet-executor", "": "/nowhere"} {
		m, err := New(Options{Executor: program, cores: testCores(13, 2)})
		check(t, err)
		t.Cleanup(m.Close)
		_, _, err = welcome(t, m).lease(request(1, libraryGood))
		wantCode(t, err, control.CodeStart, want)
		m.Close()
	}
}

func TestDeadExecutorIsReplaced(t *testing.T) {
	c := welcome(t, newManager(t, testCores(5, 2)))
	granted, _ := c.mustLease(1)
	first := granted.Executors[0]
	for transport, want := range map[string]control.Ended{
		"die":  {Signal: int(unix.SIGKILL), Function: "doomed", Replacing: true},
		"exit": {ExitCode: 4, Function: "doomed", ExitCalled: true, Replacing: true},
	} {
		call := c.send(control.TypeOpen, 0, control.Open{Transport: transport})
		var ended control.Ended
		c.expect(control.TypeEnded, &ended)
		if diff := cmp.Diff(want, ended); diff != "" {
			t.Errorf("%s (-want +got):\n%s", transport, diff)
		}
		var failed control.Failed
		if frame := c.expect(control.TypeFailed, &failed); frame.Call != call {
			t.Errorf("%s: the unanswered call is %d, refused was %d", transport, call, frame.Call)
		}
		var replaced control.Executor
		if frame := c.expect(control.TypeReplaced, &replaced); len(frame.Files) != 1 {
			t.Errorf("%s: a replacement came with %d descriptors", transport, len(frame.Files))
		}
		if replaced.Core != first.Core || replaced.PID == first.PID {
			t.Errorf("%s: %+v replaces %+v", transport, replaced, first)
		}
		var opened control.Opened
		c.must(control.TypeOpen, 0, control.Open{}, &opened)
		if opened.Wire != replaced.PID {
			t.Errorf("%s: process %d answers, not the replacement %d", transport, opened.Wire, replaced.PID)
		}
	}
}

func TestKillMeansOneProcess(t *testing.T) {
	c := welcome(t, newManager(t, testCores(6, 2)))
	granted, _ := c.mustLease(1)
	pid := granted.Executors[0].PID
	for _, wrong := range []control.Kill{{Executor: 0, PID: pid + 1}, {Executor: 3, PID: pid}, {Executor: -5, PID: pid}} {
		check(t, c.conn.Send(control.TypeKill, 0, control.Manager, wrong))
	}
	var opened control.Opened
	c.must(control.TypeOpen, 0, control.Open{}, &opened)
	check(t, c.conn.Send(control.TypeKill, 0, control.Manager, control.Kill{PID: pid}))
	var ended control.Ended
	c.expect(control.TypeEnded, &ended)
	if ended.Signal != int(unix.SIGKILL) || ended.Function != "" || !ended.Replacing {
		t.Errorf("%+v", ended)
	}
	c.expect(control.TypeReplaced, &control.Executor{})
}

func TestExecutorThatCanNotBeReplacedIsLost(t *testing.T) {
	m := newManager(t, testCores(7, 2))
	c := welcome(t, m)
	r := request(1, libraryOnce)
	r.Environment = append(r.Environment, markFile+"="+filepath.Join(t.TempDir(), "mark"))
	_, _, err := c.lease(r)
	check(t, err)
	check(t, c.conn.Send(control.TypeOpen, 0, 0, control.Open{Transport: "die"}))
	for _, replacing := range []bool{true, false} {
		var ended control.Ended
		c.expect(control.TypeEnded, &ended)
		if ended.Replacing != replacing || ended.Function != "doomed" {
			t.Errorf("%+v, want replacing %v", ended, replacing)
		}
	}
	_, err = c.ask(control.TypeOpen, 0, control.Open{}, nil)
	wantCode(t, err, control.CodeStart, "ended")
	welcome(t, m).mustLease(1) // its core is free
	c.release()
}

func TestExecutorWithoutConnectionIsReplaced(t *testing.T) {
	c := welcome(t, newManager(t, testCores(8, 2)))
	c.mustLease(1)
	check(t, c.conn.Send(control.TypeOpen, 0, 0, control.Open{Transport: "close"}))
	c.expect(control.TypeEnded, &control.Ended{})
	c.expect(control.TypeReplaced, &control.Executor{})
}

// A function's own child that has the executor's socket must not hide its end.
func TestChildOfAFunctionHoldsNothingUp(t *testing.T) {
	c := welcome(t, newManager(t, testCores(9, 2)))
	_, _, err := c.lease(request(1, libraryChild))
	check(t, err)
	began := time.Now()
	check(t, c.conn.Send(control.TypeOpen, 0, 0, control.Open{Transport: "die"}))
	c.expect(control.TypeEnded, &control.Ended{})
	if took := time.Since(began); took > time.Second {
		t.Errorf("its end was told after %v", took)
	}
	c.close()
}

func TestForgedFramesAreDropped(t *testing.T) {
	c := welcome(t, newManager(t, testCores(10, 2)))
	granted, _ := c.mustLease(1)
	var opened control.Opened
	c.must(control.TypeOpen, 0, control.Open{Transport: "forge"}, &opened)
	if opened.Wire != granted.Executors[0].PID {
		t.Errorf("%+v", opened)
	}
}

func TestEnvironmentAndOutputOfExecutors(t *testing.T) {
	t.Setenv("OMPI_SECRET", "1")
	t.Setenv("SLURM_JWT", "1")
	t.Setenv("KEPT_FOR_TEST", "1")
	c := welcome(t, newManager(t, testCores(11, 2)))
	reader, writer, err := os.Pipe()
	check(t, err)
	r := request(1, libraryGood)
	r.Environment = append(r.Environment, "OMP_NUM_THREADS=3")
	c.must(control.TypeLease, control.Manager, r, nil, writer)
	writer.Close()
	var opened control.Opened
	c.must(control.TypeOpen, 0, control.Open{Transport: "environment"}, &opened)
	for _, want := range []string{"KEPT_FOR_TEST=1", "OMP_NUM_THREADS=3", "MKL_NUM_THREADS=1", "PATH="} {
		if !strings.Contains(string(opened.Name), want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	for _, secret := range []string{"OMPI_SECRET", "SLURM_JWT"} {
		if strings.Contains(string(opened.Name), secret) {
			t.Errorf("the environment has %s", secret)
		}
	}
	c.must(control.TypeOpen, 0, control.Open{Transport: "print"}, &opened)
	c.close()
	printed, err := io.ReadAll(reader) // ends, for nobody has the other end any more
	check(t, err)
	reader.Close()
	if string(printed) != "printed by a function\n" {
		t.Errorf("printed %q", printed)
	}
}

// The end of a client in the midst of starting leaves nothing behind.
func TestClientLeavesWhileExecutorsStart(t *testing.T) {
	m := newManager(t, testCores(12, 3))
	c := welcome(t, m)
	c.send(control.TypeLease, control.Manager, request(2, libraryHang), os.Stderr)
	waitForStarting(t, m)
	c.close()
	c = welcome(t, m)
	c.send(control.TypeLease, control.Manager, request(2, libraryHang), os.Stderr)
	waitForStarting(t, m)
	release := c.send(control.TypeRelease, control.Manager, nil)
	if frame := c.receive(); frame.Type != control.TypeFailed {
		t.Errorf("a lease that was released before it was granted: %s %s", frame.Type, frame.Body)
	}
	if frame := c.receive(); frame.Type != control.TypeReleased || frame.Call != release {
		t.Errorf("its release: %s %s", frame.Type, frame.Body)
	}
	c.mustLease(2)
}

// waitForStarting waits until a process runs.
func waitForStarting(t *testing.T, m *Manager) {
	t.Helper()
	starter := m.starter.(*processStarter)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		starter.mu.Lock()
		n := len(starter.running)
		starter.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was started")
		}
	}
}
