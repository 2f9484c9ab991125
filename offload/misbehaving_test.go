package offload_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/offload"
)

// misbehaving is a function library whose functions end in ways that functions should not.
var misbehaving = sync.OnceValues(func() (string, error) {
	return buildtest.Library(filepath.Dir(library), "libmisbehaving.so", "testdata/misbehaving.cpp")
})

// ending is what becomes of an invocation.
type ending struct {
	cause      offload.Cause // empty: its executor lives on
	signal     unix.Signal
	exitCode   int
	exitCalled bool
	text       string // of a FunctionError
	late       bool   // it never ends, and its deadline passes
}

func died(signal unix.Signal) ending { return ending{cause: offload.LostSignal, signal: signal} }

var misdeeds = []struct {
	function string
	ending   ending
}{
	{"call_exit", ending{cause: offload.LostExit, exitCode: 3, exitCalled: true}},
	{"call_underscore_exit", ending{cause: offload.LostExit, exitCode: 4}},
	{"call_abort", died(unix.SIGABRT)},
	{"raise_bus_error", died(unix.SIGBUS)},
	{"raise_termination", died(unix.SIGTERM)},
	{"raise_kill", died(unix.SIGKILL)},
	{"throw_error", ending{text: "the matrix is singular"}},
	{"throw_number", ending{text: "an exception that is no std::exception"}},
	{"throw_plainly", died(unix.SIGABRT)},
	{"throw_in_thread", died(unix.SIGABRT)},
	{"overflow_stack", died(unix.SIGSEGV)},
	{"write_past_output", died(unix.SIGSEGV)},
	{"write_past_output_plainly", died(unix.SIGSEGV)},
	{"crash_in_thread", died(unix.SIGSEGV)},
	{"exit_thread", died(unix.SIGABRT)},
	{"exit_thread_plainly", ending{cause: offload.LostExit, exitCode: 1}},
	{"fork_and_return", ending{}},
	{"fork_and_exit", ending{}},
	{"fork_and_abort", ending{cause: offload.LostExit, exitCode: 5}},
	{"block_signals_and_return", ending{}},
	{"block_signals_and_crash", died(unix.SIGSEGV)},
	{"block_signals_and_stay", ending{late: true}},
	{"never_return", ending{late: true}},
}

// misbehave makes a lease of the library above.
func misbehave(t *testing.T, executors int) (*offload.Session, *offload.Lease) {
	t.Helper()
	path, err := misbehaving()
	check(t, err)
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: executors, Library: path, Oversubscribe: true})
	check(t, err)
	return s, l
}

// ended is how many executors a lease has lost that had been met. (A replacement on a core that others
// keep busy for seconds may be given up before it is.)
func ended(l *offload.Lease) (count int) {
	for _, loss := range l.Losses() {
		if !strings.Contains(loss.Reason, "offload: reaching ") {
			count++
		}
	}
	return count
}

// soon is a context for a function that never ends, and patience for others.
func (e ending) soon(t *testing.T) context.Context {
	if !e.late {
		return within(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// expect looks at how an invocation ended, and tells whether its executor did.
func (e ending) expect(t *testing.T, function string, err error) {
	t.Helper()
	var lost *offload.ExecutorLost
	var failed *offload.FunctionError
	switch {
	case e.late:
		if !errors.Is(err, offload.ErrDeadline) {
			t.Errorf("past its deadline: %v", err)
		}
	case e.cause != "":
		want := offload.ExecutorLost{Cause: e.cause, Signal: e.signal, ExitCode: e.exitCode, ExitCalled: e.exitCalled, Function: function}
		if !errors.As(err, &lost) {
			t.Fatalf("not a loss: %v", err)
		}
		got := *lost
		got.Executor, got.Reason, got.Memory = "", "", 0
		if got != want {
			t.Errorf("%+v instead of %+v: %v", got, want, err)
		}
	case e.text != "":
		if !errors.As(err, &failed) || !bytes.Contains([]byte(failed.Text), []byte(e.text)) || failed.Function != function {
			t.Errorf("%v does not say %q", err, e.text)
		}
	case err != nil:
		t.Error(err)
	}
}

// However a function ends its executor, or would, its future says how, the lease goes on, and the
// other executors never notice.
func TestMisbehavingFunctions(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s, l := misbehave(t, 2)
		culprit, bystander := l.Executors()[0], l.Executors()[1]
		pid, losses := bystander.PID(), 0
		for _, m := range misdeeds {
			t.Run(m.function, func(t *testing.T) {
				in, out := offload.Alloc[uint32](s, 16), offload.Alloc[uint32](s, 16)
				meanwhile := offload.Alloc[uint32](s, 16)
				in.Slice()[0], in.Slice()[15] = 20, 7
				beside := bystander.Invoke(within(t), "behave_later", in, meanwhile)
				_, err := culprit.Invoke(m.ending.soon(t), m.function, in, out).Wait(within(t))
				m.ending.expect(t, m.function, err)
				if m.ending.cause != "" || m.ending.late {
					losses++
				}
				_, err = beside.Wait(within(t))
				check(t, err)
				if meanwhile.Slice()[15] != 7 {
					t.Error("the bystander's answer is wrong")
				}
				waitFor(t, "an executor again", culprit.Ready)
				_, err = culprit.Invoke(within(t), "behave", in, out).Wait(within(t))
				check(t, err)
				if out.Slice()[15] != 7 || in.Slice()[15] != 7 {
					t.Errorf("afterwards: %v of %v", out.Slice(), in.Slice())
				}
			})
		}
		if got := ended(l); bystander.PID() != pid || got != losses {
			t.Errorf("%d executors were lost instead of %d; the bystander was process %d and is %d; lost were %v", got, losses, pid, bystander.PID(), l.Losses())
		}
	})
}

// A child that a function has forked, and that returns from it too, is no second executor.
func TestForkedChildIsNoExecutor(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s, l := misbehave(t, 1)
		for range 5 {
			in, out := offload.Alloc[uint32](s, 20_000), offload.Alloc[uint32](s, 20_000)
			number := offload.Alloc[int32](s, 1)
			_, err := l.Invoke(within(t), "fork_and_return", nil, number).Wait(within(t))
			check(t, err)
			child := int(number.Slice()[0])
			if child <= 0 {
				t.Fatalf("the answer is that of process %d", child)
			}
			waitFor(t, "end of the child", func() bool { return hasEnded(child) })
			for i := range uint32(20) {
				in.Slice()[0], in.Slice()[19_999] = i, i
				_, err := l.Invoke(within(t), "behave", in, out).Wait(within(t))
				check(t, err)
				if out.Slice()[0] != i || out.Slice()[19_999] != i {
					t.Fatalf("%d and %d instead of %d", out.Slice()[0], out.Slice()[19_999], i)
				}
			}
		}
		if ended(l) != 0 {
			t.Errorf("executors were lost: %v", l.Losses())
		}
	})
}

// A function that closes what its executor is reached by costs that executor, and no other. Either the
// executor notices it and exits, or its manager does, and says why.
func TestClosedDescriptors(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s, l := misbehave(t, 2)
		culprit, bystander := l.Executors()[0], l.Executors()[1]
		pid, other := culprit.PID(), bystander.PID()
		in, out, last := offload.Alloc[uint32](s, 16), offload.Alloc[uint32](s, 16), offload.Alloc[uint32](s, 16)
		in.Slice()[0] = 20
		beside := bystander.Invoke(within(t), "behave_later", in, out)
		var lost *offload.ExecutorLost
		// It may have answered before anything is missed.
		if _, err := culprit.Invoke(within(t), "close_descriptors", in, last).Wait(within(t)); err != nil && !errors.As(err, &lost) {
			t.Errorf("not a loss: %v", err)
		}
		_, err := beside.Wait(within(t))
		check(t, err)
		waitFor(t, "another process", func() bool { return culprit.Ready() && culprit.PID() != pid })
		_, err = culprit.Invoke(within(t), "behave", in, out).Wait(within(t))
		check(t, err)
		if ended(l) != 1 || bystander.PID() != other {
			t.Errorf("the bystander was process %d and is %d; lost were %v", other, bystander.PID(), l.Losses())
		}
		loss := l.Losses()[0] // that of the first process
		switch {
		case loss.Cause == offload.LostStopped && strings.Contains(loss.Reason, "descriptors"):
		case loss.Cause == offload.LostExit && loss.ExitCode != 0:
		case loss.Cause == offload.LostSignal && os.Getenv("SUBLET_TRANSPORT") != "ring" && strings.Contains(loss.Reason, "connection"):
		default:
			t.Errorf("the loss does not say what was wrong: %v", loss)
		}
	})
}

// An input that ends the executor that it is given to is given to one other, and then said to be poison.
func TestPoisonOfEveryKind(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) { // over others it is TestPoison's
		s, l := misbehave(t, 2)
		for _, m := range misdeeds {
			sent := m.ending.signal == unix.SIGTERM || m.ending.signal == unix.SIGKILL // by others, for all we know
			if m.ending.cause == "" || sent {
				continue
			}
			t.Run(m.function, func(t *testing.T) {
				before := ended(l)
				in, out := offload.Alloc[uint32](s, 16), offload.Alloc[uint32](s, 16)
				_, err := l.Invoke(within(t), m.function, in, out).Wait(within(t))
				m.ending.expect(t, m.function, err)
				if got := ended(l) - before; !errors.Is(err, offload.ErrPoison) || got != 2 {
					t.Errorf("after %d executors: %v", got, err)
				}
				_, err = l.Invoke(within(t), "behave", in, out).Wait(within(t))
				check(t, err)
			})
		}
	})
}
