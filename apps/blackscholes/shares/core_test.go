package shares

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// leaveCore keeps the test's own thread away from an executor's core until the test ends, as mpirun does by binding a rank
// to another one.
func leaveCore(t *testing.T, core int) {
	t.Helper()
	var before unix.CPUSet
	runtime.LockOSThread()
	check(t, unix.SchedGetaffinity(0, &before))
	others := before
	others.Clear(core)
	if others.Count() == 0 {
		t.Logf("there is no core but %d: the caller shares it with the executor", core)
		others = before
	}
	check(t, unix.SchedSetaffinity(0, &others))
	t.Cleanup(func() {
		check(t, unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	})
}
