package hosts_test

import (
	"fmt"
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
		dir, err := os.MkdirTemp("", "hosts")
		if err == nil {
			defer os.RemoveAll(dir)
			err = build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
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
