package offload_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hostile"
)

// What these tests lease is real: the programs and the function library are built first.
var library string

// asHostile is the variable with the plan of an executor that is this program (hostile_test.go).
const asHostile = "OFFLOAD_TEST_HOSTILE"

func TestMain(m *testing.M) {
	if plan := os.Getenv(asHostile); plan != "" {
		if err := hostile.Run(plan); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(buildtest.Main(m, build))
}

func build(dir string) (err error) {
	os.Setenv("SUBLET_BIN", dir)
	os.Setenv("SUBLET_DIR", dir) // without a resource manager
	if err = buildtest.Programs(dir, "cmd/sublet", "cmd/sublet-executor"); err == nil {
		library, err = buildtest.Library(dir, "libfunctions.so", "testdata/functions.c", "testdata/history.c")
	}
	return err
}
