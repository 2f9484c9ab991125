package remote

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// bin has the programs and the function library, which are real and built first.
var bin string

func TestMain(m *testing.M) {
	os.Exit(hosts.Main(func() int { return buildtest.Main(m, build) }))
}

func build(dir string) error {
	bin = dir
	err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor", "apps/jacobi")
	if err == nil {
		_, err = buildtest.Library(bin, "libjacobi.so", "../kernel/jacobi.c", "../kernel/sparse.c")
	}
	if err == nil {
		err = mpitest.Check(filepath.Join(bin, "jacobi"))
	}
	return err
}
