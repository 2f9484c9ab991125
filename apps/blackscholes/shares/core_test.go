package shares

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// allowed are the CPUs that the tests began with.
var allowed = func() (set unix.CPUSet) {
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		panic(err)
	}
	return set
}()

// leaveCore keeps the test's own thread away from an executor's core until the test ends, as mpirun does by binding a rank
// to another one.
func leaveCore(t *testing.T, core int) {
	t.Helper()
	others := allowed
	if others.Count() > 1 {
		others.Clear(core)
	}
	runtime.LockOSThread()
	check(t, unix.SchedSetaffinity(0, &others))
	t.Cleanup(func() {
		check(t, unix.SchedSetaffinity(0, &allowed))
		runtime.UnlockOSThread()
	})
}
