package offload_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "offload")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv("SUBLET_BIN", dir)
	os.Setenv("SUBLET_DIR", dir) // without a resource manager
	return m.Run()
}

func build(dir string) error {
	for _, program := range []string{"sublet", "sublet-executor"} {
		if out, err := exec.Command("go", "build", "-o", dir, "../cmd/"+program).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	header, err := os.ReadFile("../internal/fabric/function.h")
	if err != nil {
		return err
	}
	include := filepath.Join(dir, "include", "sublet", "function.h")
	if err := os.MkdirAll(filepath.Dir(include), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(include, header, 0o644); err != nil {
		return err
	}
	library = filepath.Join(dir, "libfunctions.so")
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I", filepath.Join(dir, "include"),
		"-o", library, "testdata/functions.c", "testdata/history.c").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the function library: %w\n%s", err, out)
	}
	return nil
}
