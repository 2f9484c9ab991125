package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a directory; the replica is closed at the end at the latest.
func open(t testing.TB, directory string) *Replica {
	t.Helper()
	return openPlace(t, Place{Directory: directory})
}

func openPlace(t testing.TB, place Place) *Replica {
	t.Helper()
	r, err := Open(Options{Place: place, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() {
		if r.disk != nil && !r.disk.isClosed {
			check(t, r.Close())
		}
	})
	return r
}

func apply(t testing.TB, r *Replica, command ledger.Command) ledger.Result {
	t.Helper()
	result, err := r.Apply(t.Context(), command)
	check(t, err)
	return result
}

func node(name string, cores int) ledger.RegisterNode {
	command := ledger.RegisterNode{Node: api.Node{Name: name, UID: 7, User: "ann"}, Instance: "i", Key: []byte("key")}
	for core := range cores {
		command.Node.Cores = append(command.Node.Cores, core)
	}
	return command
}

func grant(lease string, executors int) ledger.Grant {
	return ledger.Grant{Lease: lease, UID: 7, Executors: executors, At: noon, Expires: noon.Add(time.Minute)}
}

// What was applied is there again, however the ledger was closed.
func TestReopening(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "ledger")
	r := open(t, directory)
	apply(t, r, node("n", 4))
	for i, end := range []func(*Replica) error{(*Replica).Close, (*Replica).stop, (*Replica).Close} {
		lease := apply(t, r, grant(fmt.Sprint("l", i), 1)).Leases[0]
		if lease.Executors[0].Core != i || !lease.Expires.Equal(noon.Add(time.Minute)) {
			t.Errorf("%+v", lease)
		}
		before, revision := r.State(), r.revision
		check(t, end(r))
		r = open(t, directory)
		if diff := cmp.Diff(before, r.State()); diff != "" || r.revision != revision {
			t.Errorf("after closing, at revision %d of %d (-want +got):\n%s", r.revision, revision, diff)
		}
	}
	for _, name := range []string{logName, identityName, ownerName} {
		info, err := os.Stat(filepath.Join(directory, name))
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v; there are keys in it", name, info.Mode())
		}
	}
}

// What is refused, and what changes nothing, is not written.
func TestNothingToWrite(t *testing.T) {
	r := open(t, t.TempDir())
	apply(t, r, node("n", 1))
	apply(t, r, grant("l", 1))
	lease := r.State().Leases["l"]
	index, revision := r.raft.LastIndex(), r.revision
	if _, err := r.Apply(t.Context(), grant("m", 1)); !errors.As(err, new(*ledger.NoCapacity)) {
		t.Errorf("a second lease of one core: %v", err)
	}
	apply(t, r, ledger.Adopt{Lease: api.Lease{ID: "l", UID: 7}, Executors: []api.Placed{{Executor: lease.Executors[0]}}})
	apply(t, r, ledger.Occupants{Node: "n"})
	if r.raft.LastIndex() != index || r.revision != revision {
		t.Errorf("%d entries were written", r.raft.LastIndex()-index)
	}
}

// One process has a directory.
func TestTwoInOneDirectory(t *testing.T) {
	directory := t.TempDir()
	open(t, directory)
	_, err := Open(Options{Place: Place{Directory: directory}})
	if want := fmt.Sprintf("process %d on ", os.Getpid()); err == nil || !contains(err, want, "--data", directory) {
		t.Errorf("a second one: %v", err)
	}
}

// Waiting for the disk ends with the context; nobody is told that what was asked is durable.
func TestGivingUpWaiting(t *testing.T) {
	r := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waiting := Mark{&waiter{done: make(chan struct{})}}
	if err := waiting.Wait(ctx); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	check(t, r.Mark().Wait(ctx)) // of what is durable
	check(t, r.Close())
	if _, err := r.Propose(node("n", 1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	if err := r.Mark().Wait(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after its end a mark: %v", err)
	}
}
