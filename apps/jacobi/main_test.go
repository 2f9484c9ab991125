package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// What these tests run is real: the programs and function libraries are built into a folder first.
var bin string

// On this host another program's executor managers may have the cores that these tests lease.
func TestMain(m *testing.M) {
	os.Exit(hosts.Apart(func() int { return buildtest.Main(m, build) }))
}

func build(dir string) error {
	bin = dir
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
	return mpitest.Check(path("jacobi"))
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

// expectNothingLeft fails the test when a process of our programs lives 2 seconds after the run.
func expectNothingLeft(t *testing.T) {
	t.Helper()
	mpitest.ExpectNothingLeft(t, bin)
}

func ourProcesses(t *testing.T) []mpitest.Process {
	t.Helper()
	return mpitest.Processes(t, bin)
}
