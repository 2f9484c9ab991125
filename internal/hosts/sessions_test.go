package hosts_test

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
)

// patience is how long a test waits for what must come.
const patience = hosts.Patience

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCluster(t testing.TB) *hosts.Cluster {
	t.Helper()
	return hosts.NewCluster(t, filepath.Dir(sublet))
}

func session(t testing.TB) *offload.Session {
	t.Helper()
	s, err := offload.Connect(within(t))
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func lease(t testing.TB, s *offload.Session, executors int) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: executors, Library: library})
	check(t, err)
	return l
}

// echo invokes a function on an executor and looks at what comes back.
func echo(t testing.TB, s *offload.Session, e *offload.Executor, size int) {
	t.Helper()
	in, out := offload.Alloc[byte](s, size), offload.Alloc[byte](s, size)
	for i := range in.Slice() {
		in.Slice()[i] = byte(i * 7)
	}
	n, err := e.Invoke(within(t), "echo", in, out).Wait(within(t))
	if err != nil || n != size || !bytes.Equal(in.Slice(), out.Slice()) {
		t.Fatalf("%s: %d bytes, %v", e, n, err)
	}
	check(t, in.Free())
	check(t, out.Free())
}

// lines of a program's output.
func lines(text string) []string {
	var all []string
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		all = append(all, scanner.Text())
	}
	return all
}
