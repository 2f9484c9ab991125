package hosts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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

func build(dir string) error {
	for _, program := range []string{"sublet", "sublet-executor"} {
		if out, err := exec.Command("go", "build", "-o", dir, "../../cmd/"+program).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	library, sublet = filepath.Join(dir, "libfunctions.so"), filepath.Join(dir, "sublet")
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", library, "testdata/functions.c").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the function library: %w\n%s", err, out)
	}
	return nil
}
