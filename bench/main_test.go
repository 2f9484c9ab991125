package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/bench"
)

// What these tests measure is real: the programs and the function library are built first.
var library string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bench")
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
	for program, cgo := range map[string]string{"sublet": "0", "sublet-executor": "1"} {
		command := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../cmd/"+program)
		command.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	include := filepath.Join(dir, "include", "sublet")
	if err := os.MkdirAll(include, 0o755); err != nil {
		return err
	}
	header, err := os.ReadFile("../internal/fabric/function.h")
	if err == nil {
		err = os.WriteFile(filepath.Join(include, "function.h"), header, 0o644)
	}
	if err != nil {
		return err
	}
	library = filepath.Join(dir, "libbench.so")
	args := []string{
		"-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fPIC", "-shared",
		"-I", filepath.Join(dir, "include"), "-o", library,
	}
	for _, pattern := range []string{"../internal/fabric/floor/*.c", "../internal/fabric/floor/peer/*.c"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		args = slices.Concat(args, sources)
	}
	if out, err := exec.Command("cc", append(args, "-ldl", "-lpthread")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the function library: %w\n%s", err, out)
	}
	return nil
}

// options are those of a short measurement.
func options() *bench.Options {
	return &bench.Options{
		Sizes: []int{8}, Mode: bench.Hot, Transport: "ring", InFlight: 1, Repetitions: 24, Warmup: 2, Blocks: 8, Touch: true,
		Executors: 1, Clients: 1, Cores: 1, Items: 20, Library: library, Command: []string{"test"},
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// path sets the transport for a test, and has its environment put back.
func path(t *testing.T, o *bench.Options, transport, provider string) {
	t.Helper()
	t.Setenv("SUBLET_TRANSPORT", "")
	t.Setenv("SUBLET_PROVIDER", "")
	o.Transport, o.Provider = transport, provider
}
