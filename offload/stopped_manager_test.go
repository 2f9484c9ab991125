package offload_test

import (
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// A lease can be given back although the manager does not react: its executors are ended from here.
func TestReleaseWhileTheManagerIsStopped(t *testing.T) {
	offload.Hurry(t)
	s := session(t)
	l := lease(t, s, 2)
	manager := helper(t, l.Executors()[0].PID())
	stop(t, manager)
	defer func() { check(t, syscall.Kill(manager, syscall.SIGCONT)) }()
	check(t, l.Release())
	for _, e := range l.Executors() {
		if !hasEnded(e.PID()) {
			t.Errorf("%s has not ended", e)
		}
	}
}

// A manager that is stopped while an executor ends says so late: the lease gets the replacement all the
// same, and another after that.
func TestReplacementAfterTheManagerWasStopped(t *testing.T) {
	offload.Hurry(t)
	s := session(t)
	l := lease(t, s, 1)
	e := l.Executors()[0]
	manager := helper(t, e.PID())
	for range 2 {
		stop(t, manager)
		check(t, syscall.Kill(e.PID(), syscall.SIGKILL))
		waitFor(t, "a loss", func() bool { // nobody says whether there will be another
			_, err := l.Invoke(within(t), "echo", nil, nil).Wait(within(t))
			return err != nil
		})
		check(t, syscall.Kill(manager, syscall.SIGCONT))
		waitFor(t, "a replacement", e.Ready)
		_, err := l.Invoke(within(t), "echo", nil, nil).Wait(within(t))
		check(t, err)
	}
	check(t, syscall.Kill(e.PID(), syscall.SIGKILL)) // an end that is told in time has not been told before
	waitFor(t, "another loss", func() bool { return l.Lost() == 3 })
	if cause := l.Losses()[2].Cause; cause != offload.LostSignal {
		t.Errorf("the third loss is %v", l.Losses()[2])
	}
}
