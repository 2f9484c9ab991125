package offload_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// Functions are named by their indices. Somebody who builds a library with one more function while a lease
// has it must not have that one called when an executor is replaced.
func TestLibraryChangesBeforeAReplacement(t *testing.T) {
	s := session(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "libchanging.so")
	build := func(source string) {
		t.Helper()
		file := filepath.Join(dir, "changing.c")
		check(t, os.WriteFile(file, []byte("#include <stdint.h>\n"+source), 0o600))
		out, err := exec.Command("cc", "-fPIC", "-shared", "-o", path+".new", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		check(t, os.Rename(path+".new", path))
	}
	const b = "uint32_t b(void *in, uint32_t n, void *out) { (void)in; (void)n; *(char *)out = 'b'; return 1; }\n"
	build(b)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: path, Oversubscribe: true})
	check(t, err)
	out := offload.Alloc[byte](s, 1)
	_, err = l.Invoke(within(t), "b", nil, out).Wait(within(t))
	check(t, err)

	build(strings.NewReplacer(" b(", " a(", "'b'", "'a'").Replace(b) + b)
	check(t, syscall.Kill(l.Executors()[0].PID(), syscall.SIGKILL))
	waitFor(t, "a loss", func() bool {
		_, err = l.Invoke(within(t), "b", nil, out).Wait(within(t))
		if err == nil && out.Slice()[0] != 'b' {
			t.Fatalf("b was called, and %c answers", out.Slice()[0])
		}
		return err != nil
	})
	var lost *offload.ExecutorLost
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), "libchanging.so has changed") {
		t.Errorf("the loss does not say why: %v", err)
	}
}
