package bench_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// What these tests measure is real: the programs and the function library are built first.
var library string

func TestMain(m *testing.M) { os.Exit(buildtest.Main(m, build)) }

func build(dir string) (err error) {
	os.Setenv("SUBLET_BIN", dir)
	os.Setenv("SUBLET_DIR", dir) // without a resource manager
	if err = buildtest.Programs(dir, "cmd/sublet", "cmd/sublet-executor"); err == nil {
		library, err = buildtest.Library(dir, "libbench.so", "-std=gnu11", "-fvisibility=hidden",
			"../internal/fabric/floor/*.c", "../internal/fabric/floor/peer/*.c", "-ldl", "-lpthread")
	}
	return err
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
