package shares

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// bin has the programs, library the kernels; all are real and built first.
var bin, library string

func TestMain(m *testing.M) {
	os.Exit(hosts.Main(func() int { return buildtest.Main(m, build) }))
}

func build(dir string) (err error) {
	bin = dir
	if err = buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor"); err == nil {
		library, err = buildtest.Library(bin, "libblackscholes.so", "-std=c11", "../kernel/blackscholes.c", "../../internal/pricing/*.c", "-lm")
	}
	return err
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within ends what would never end.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// here is a session that leases from this host.
func here(t *testing.T) *offload.Session {
	t.Helper()
	t.Setenv("SUBLET_DIR", t.TempDir())
	t.Setenv("SUBLET_BIN", bin)
	t.Setenv("SUBLET_TRANSPORT", "ring")
	return connect(t)
}

func connect(t *testing.T) *offload.Session {
	t.Helper()
	s, err := offload.Connect(within(t))
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// lease is one of one executor, which has a core of its own if there are two, and leaves the caller another one.
func lease(t *testing.T, s *offload.Session) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
	check(t, err)
	leaveCore(t, l.Executors()[0].Core())
	return l
}
