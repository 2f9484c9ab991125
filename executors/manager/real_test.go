package manager

import (
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// The real executor, with a library that a C compiler made.
func TestRealExecutors(t *testing.T) {
	folder := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	program, library := filepath.Join(folder, "sublet-executor"), filepath.Join(folder, "libtwice.so")
	run("go", "build", "-o", program, "../../cmd/sublet-executor")
	run("cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, "testdata/twice.c")
	m, err := New(Options{Executor: program, cores: testCores(40, 3)})
	check(t, err)
	t.Cleanup(m.Close)
	c := welcome(t, m)

	missing := request(1, filepath.Join(folder, "absent.so"))
	_, _, err = c.lease(missing)
	wantCode(t, err, control.CodeLibrary, "absent.so")

	granted, frame, err := c.lease(request(2, library))
	check(t, err)
	if len(granted.Functions) != 1 || granted.Functions[0].Name != "twice" || granted.Functions[0].ABI != 1 {
		t.Errorf("functions %+v", granted.Functions)
	}
	_, err = c.ask(control.TypeOpen, 0, control.Open{Wire: -1}, nil)
	wantCode(t, err, control.CodeVersion, "wire version -1")

	// Killed from outside; the other executor does not notice.
	check(t, unix.Kill(granted.Executors[0].PID, unix.SIGKILL))
	var ended control.Ended
	c.expect(control.TypeEnded, &ended)
	if ended.Executor != 0 || ended.Signal != int(unix.SIGKILL) || ended.Function != "" || !ended.Replacing {
		t.Errorf("%+v", ended)
	}
	var replaced control.Executor
	c.expect(control.TypeReplaced, &replaced)
	if replaced.Index != 0 || replaced.Core != granted.Executors[0].Core {
		t.Errorf("%+v replaces %+v", replaced, granted.Executors[0])
	}
	waitGone(t, frame.Files[0])
	c.release()
	waitGone(t, frame.Files[1])
}
