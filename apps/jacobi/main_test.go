package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// What these tests run is real: the programs and function libraries are built into a folder first.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "jacobi")
	if err == nil {
		defer os.RemoveAll(dir)
		bin, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = build(bin)
	}
	if err == nil {
		err = mpitest.Check(path("jacobi"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	if err := buildtest.Programs(dir, "cmd/sublet", "cmd/sublet-executor", "apps/jacobi"); err != nil {
		return err
	}
	for library, sources := range map[string][]string{
		"libjacobi.so":   {"kernel/jacobi.c", "kernel/sparse.c"},
		"libcrashing.so": {"testdata/crashing.c"},
		"libother.so":    {"testdata/other.c"},
		"libshort.so":    {"testdata/short.c"},
		"libslowing.so":  {"testdata/slowing.c"},
	} {
		if _, err := buildtest.Library(dir, library, sources...); err != nil {
			return err
		}
	}
	return nil
}

// path is that of a file in the folder of programs.
func path(name string) string { return filepath.Join(bin, name) }

// complaints are what the program wrote to standard error, without the lines of progress that come
// when the machine is busy, and without remarks that offloading does not pay, which it may not then.
func complaints(result mpitest.Result) []string {
	return slices.DeleteFunc(result.Said(), func(line string) bool {
		return strings.HasPrefix(line, "jacobi: ") && strings.Contains(line, ": iteration ") || strings.HasPrefix(line, "jacobi: rank 0: offload: ")
	})
}

// process is one that runs a program from the folder.
type process struct {
	pid     int
	program string // without the folder
}

// expectNothingLeft fails the test when a process of our programs lives 2 seconds after the run.
func expectNothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Second, func() (bool, string) {
		alive := ourProcesses(t)
		return len(alive) == 0, fmt.Sprintf("there are still %v", alive)
	})
}

// eventually fails the test when a condition has not come true in time. What it looks at has no
// event that could be waited for.
func eventually(t *testing.T, limit time.Duration, condition func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		ok, why := condition()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v later %s", limit, why)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func ourProcesses(t *testing.T) []process {
	t.Helper()
	var found []process
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Of a process that has just ended nothing can be read.
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Dir(program) == bin {
			found = append(found, process{pid, filepath.Base(program)})
		}
	}
	return found
}

// busy is how long a process has computed.
func (p process) busy() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0
	}
	_, afterName, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(afterName)
	if len(fields) < 12 {
		return 0
	}
	ticks, _ := strconv.Atoi(fields[11]) // in user mode, in hundredths of a second
	return time.Duration(ticks) * 10 * time.Millisecond
}
