package offload_test

import (
	"syscall"
	"testing"
)

// A lease can be given back although the manager does not react: its executors are ended from here.
func TestReleaseWhileTheManagerIsStopped(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	manager := helper(t, l.Executors()[0].PID())
	check(t, syscall.Kill(manager, syscall.SIGSTOP))
	defer func() { check(t, syscall.Kill(manager, syscall.SIGCONT)) }()
	check(t, l.Release())
	for _, e := range l.Executors() {
		if !hasEnded(e.PID()) {
			t.Errorf("%s has not ended", e)
		}
	}
}
