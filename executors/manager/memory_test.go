package manager

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/api"
)

const gib = int64(1) << 30

func TestNodeMemory(t *testing.T) {
	machine := map[string]string{"proc/meminfo": "MemFree:         1000 kB\nMemTotal:       67108864 kB\nHugePages_Total:   0\n"}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(machine)
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		files              map[string]string
		lent, have, online int
		want               int64
	}{
		"a whole machine":           {machine, 8, 8, 8, 64 * gib},
		"half of its cores lent":    {machine, 4, 8, 8, 32 * gib},
		"a job with a quarter":      {machine, 2, 2, 8, 16 * gib},
		"half of a quarter":         {machine, 1, 2, 8, 8 * gib},
		"cores that nobody knows":   {machine, 9, 8, 0, 64 * gib},
		"no cores":                  {machine, 0, 8, 8, 0},
		"an unlimited group":        {with(map[string]string{"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.max": "max\n"}), 8, 8, 8, 64 * gib},
		"a limited group":           {with(map[string]string{"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/memory.max": "4294967296\n", "sys/fs/cgroup/job/step/memory.max": "max\n"}), 2, 2, 8, 4 * gib},
		"half of a limited group":   {with(map[string]string{"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.max": "4294967296\n"}), 1, 2, 8, 2 * gib},
		"a group of version 1":      {with(map[string]string{"proc/self/cgroup": "5:cpu,memory:/job\n1:name=systemd:/\n", "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1073741824\n"}), 8, 8, 8, gib},
		"version 1 without a limit": {with(map[string]string{"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}), 8, 8, 8, 64 * gib},
	} {
		root := t.TempDir()
		for path, text := range c.files {
			check(t, os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755))
			check(t, os.WriteFile(filepath.Join(root, path), []byte(text), 0o644))
		}
		got, err := nodeMemory(root, c.lent, c.have, c.online)
		if err != nil || got != c.want {
			t.Errorf("%s: %d bytes (%v), want %d", name, got, err, c.want)
		}
	}
	root := t.TempDir()
	if _, err := nodeMemory(root, 1, 1, 1); err == nil {
		t.Error("a machine that says nothing has memory")
	}
	check(t, os.Mkdir(filepath.Join(root, "proc"), 0o755))
	check(t, os.WriteFile(filepath.Join(root, "proc", "meminfo"), []byte("MemTotal: much\n"), 0o644))
	if _, err := nodeMemory(root, 1, 1, 1); err == nil {
		t.Error("a machine with much memory has how much?")
	}
}

// What is granted is what an executor is told, and its replacement, too; that it died of it is told.
func TestMemoryReachesExecutors(t *testing.T) {
	m := newManager(t, testCores(41, 2))
	c := welcome(t, m)
	for memory, code := range map[int64]control.Code{
		-1: control.CodeInvalid, api.MinMemory - 1: control.CodeInvalid, m.node.Memory + 1: control.CodeNoCapacity,
	} {
		wrong := request(1, libraryGood)
		wrong.Memory = memory
		_, _, err := c.lease(wrong)
		var failed *control.Failed
		if !errors.As(err, &failed) || failed.Code != code {
			t.Errorf("a lease with %d bytes: %v", memory, err)
		}
	}
	want := request(1, libraryGood)
	want.Memory = api.MinMemory + 5
	granted, _, err := c.lease(want)
	check(t, err)
	told := func(e control.Executor) {
		t.Helper()
		var opened control.Opened
		c.must(control.TypeOpen, 0, control.Open{Transport: "memory"}, &opened)
		if e.Memory != want.Memory || string(opened.Name) != fmt.Sprint(want.Memory) {
			t.Errorf("%d bytes were granted and the executor was told %s, not %d", e.Memory, opened.Name, want.Memory)
		}
	}
	told(granted.Executors[0])
	c.send(control.TypeOpen, 0, control.Open{Transport: "starve"})
	var ended control.Ended
	c.expect(control.TypeEnded, &ended)
	if !ended.OutOfMemory || ended.ExitCode != 2 || ended.Function != "doomed" {
		t.Errorf("the end: %+v", ended)
	}
	c.expect(control.TypeFailed, &control.Failed{})
	var fresh control.Executor
	c.expect(control.TypeReplaced, &fresh)
	told(fresh)
}
