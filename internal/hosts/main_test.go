package hosts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// What these tests run is real: the programs and the function library are built first.
var library, sublet string

func TestMain(m *testing.M) {
	os.Exit(hosts.Main(func() int {
		if os.Getenv(holderVariable) != "" {
			return m.Run()
		}
		return buildtest.Main(m, build)
	}))
}

func build(dir string) (err error) {
	sublet = filepath.Join(dir, "sublet")
	if err := buildtest.Programs(dir, "cmd/sublet", "cmd/sublet-executor"); err != nil {
		return err
	}
	library, err = buildtest.Library(dir, "libfunctions.so", "testdata/functions.c")
	return err
}
