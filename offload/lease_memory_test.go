package offload_test

import (
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/offload"
)

const mebi = 1 << 20

// memoryLibrary builds one of testdata's libraries whose functions allocate.
func memoryLibrary(t *testing.T, source string) string {
	t.Helper()
	compiler := cmp.Or(os.Getenv("CC"), "cc")
	if strings.HasSuffix(source, ".cpp") {
		compiler = cmp.Or(os.Getenv("CXX"), "g++")
	}
	target := filepath.Join(t.TempDir(), "lib"+source+".so")
	out, err := exec.CommandContext(within(t), compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
		"-I", filepath.Join(filepath.Dir(library), "include"), "-o", target, filepath.Join("testdata", source)).CombinedOutput()
	if err != nil {
		t.Fatalf("building %s: %v\n%s", source, err, out)
	}
	return target
}

// bounded leases one executor with so much memory.
func bounded(t *testing.T, s *offload.Session, library string, memory int64) *offload.Lease {
	t.Helper()
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, Memory: memory})
	check(t, err)
	if l.Memory() != memory || l.Executors()[0].Memory() != memory {
		t.Fatalf("asked for %d bytes of memory, got %d, and %d of the executor", memory, l.Memory(), l.Executors()[0].Memory())
	}
	return l
}

func refusedFor(t *testing.T, l *offload.Lease, in offload.Payload, texts ...string) {
	t.Helper()
	_, err := l.Invoke(within(t), "echo", in, nil).Wait(within(t))
	if !errors.Is(err, offload.ErrPayloadTooLarge) {
		t.Fatalf("beyond the limit: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func echoes(t *testing.T, l *offload.Lease, buffer *offload.Buffer[byte]) {
	t.Helper()
	n, err := l.Invoke(within(t), "echo", buffer, buffer).Wait(within(t))
	check(t, err)
	if n != buffer.Len() {
		t.Errorf("%d bytes came back of %d", n, buffer.Len())
	}
}

// Buffers and constants together never exceed an executor's memory; what is given back counts no more.
func TestBuffersAreBounded(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := bounded(t, s, library, 32*mebi)
		first, second := offload.Alloc[byte](s, 20*mebi), offload.Alloc[byte](s, 12*mebi+1)
		echoes(t, l, first)
		refusedFor(t, l, second, "12582913 bytes", "32 MiB", "20 MiB already", "Want.Memory")
		refusedFor(t, l, second.Sub(0, 100_000), "12582913 bytes") // what is mapped is the whole
		echoes(t, l, first.Sub(mebi, 2*mebi))                      // it is there already
		small := offload.Alloc[byte](s, 1000)
		echoes(t, l, small)

		builder, err := s.NewConstant(12 * mebi)
		check(t, err)
		constant := builder.Seal()
		if _, err := l.Invoke(within(t), "echo", small, small, constant).Wait(within(t)); !errors.Is(err, offload.ErrPayloadTooLarge) {
			t.Errorf("a constant beyond the limit: %v", err)
		}
		check(t, first.Free())
		echoes(t, l, second)
		_, err = l.Invoke(within(t), "echo", small, small, constant).Wait(within(t))
		check(t, err)
		if l.Lost() != 0 {
			t.Errorf("%d executors were lost: %v", l.Lost(), l.Losses())
		}
	})
}

// All memory of a lease can be used, to the byte.
func TestExactlyAllMemory(t *testing.T) {
	s := session(t)
	l := bounded(t, s, library, 32*mebi)
	all := offload.Alloc[byte](s, 32*mebi)
	echoes(t, l, all)
	refusedFor(t, l, offload.Alloc[byte](s, 1), "1048576 bytes") // small buffers share a region
}

// A function that needs more memory than its executor has costs that executor, and the loss says why.
func TestOutOfMemory(t *testing.T) {
	c, cpp := memoryLibrary(t, "memory.c"), memoryLibrary(t, "memory.cpp")
	over := func(name string, signal unix.Signal, exitCode int) {
		t.Run(name, func(t *testing.T) {
			s := session(t)
			l := bounded(t, s, c, 64*mebi)
			in := offload.Alloc[uint64](s, 1)
			in.Slice()[0] = 1 << 30
			_, err := l.Invoke(within(t), name, in, nil).Wait(within(t))
			var lost *offload.ExecutorLost
			if !errors.As(err, &lost) {
				t.Fatalf("it ended with %v", err)
			}
			if lost.Cause != offload.LostMemory || lost.Memory != 64*mebi || lost.Signal != signal || lost.ExitCode != exitCode || lost.Function != name {
				t.Errorf("lost: %+v", lost)
			}
			if want := "was lost: out of memory (limit 64 MiB; Want.Memory lifts it), "; !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
			waitFor(t, "replacement", l.Executors()[0].Ready)
			in.Slice()[0] = 1000
			_, err = l.Invoke(within(t), "gulp", in, nil).Wait(within(t))
			check(t, err)
		})
	}
	over("devour", unix.SIGSEGV, 0)
	over("devour_aside", unix.SIGSEGV, 0)
	over("gulp", unix.SIGSEGV, 0)
	over("give_up", 0, 3)
	t.Run("bad_alloc", func(t *testing.T) { // an exception costs no executor
		s := session(t)
		l := bounded(t, s, cpp, 64*mebi)
		in := offload.Alloc[uint64](s, 1)
		in.Slice()[0] = 1 << 30
		_, err := l.Invoke(within(t), "grow", in, nil).Wait(within(t))
		var failed *offload.FunctionError
		if !errors.As(err, &failed) || !strings.Contains(failed.Text, "std::bad_alloc") || !strings.Contains(failed.Text, "Want.Memory") || l.Lost() != 0 {
			t.Errorf("%d lost: %v", l.Lost(), err)
		}
	})
}

// A crash with memory left says nothing of memory.
func TestCrashWithMemoryLeft(t *testing.T) {
	s := session(t)
	l := bounded(t, s, memoryLibrary(t, "memory.c"), 64*mebi)
	_, err := l.Invoke(within(t), "crash", nil, nil).Wait(within(t))
	var lost *offload.ExecutorLost
	if !errors.As(err, &lost) || lost.Cause == offload.LostMemory || strings.Contains(err.Error(), "memory") {
		t.Errorf("it ended with %v", err)
	}
}

// What functions allocate is bounded, and buffers are not counted against it, over networks neither
// where they are mirrored in the executor's own memory.
func TestFunctionsAllocateWhatTheyMay(t *testing.T) {
	source := memoryLibrary(t, "memory.c")
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		const memory = 96
		l := bounded(t, s, source, memory*mebi)
		out := offload.Alloc[byte](s, 8)
		measure := func(function string, buffer *offload.Buffer[byte]) {
			t.Helper()
			_, err := l.Invoke(within(t), function, buffer, out).Wait(within(t))
			check(t, err)
			got := binary.NativeEndian.Uint64(out.Slice())
			if got < memory-8 || got > memory+8 {
				t.Errorf("a function could allocate %d MiB, of %d", got, memory)
			}
		}
		measure("measure", nil)
		large := offload.Alloc[byte](s, 80*mebi)
		measure("measure", large)
		check(t, large.Free())
		measure("measure", nil)
		// One that keeps all there is usually leaves the executor what it needs itself; where it does
		// not, it costs that executor, and nobody else.
		kept := 0
		hoard := func(buffer *offload.Buffer[byte]) {
			t.Helper()
			_, err := l.Invoke(within(t), "hoard", buffer, nil).Wait(within(t))
			var lost *offload.ExecutorLost
			if err == nil {
				kept++
			} else if !errors.As(err, &lost) {
				t.Error(err)
			}
		}
		hoard(nil)
		for _, size := range []int{80 * mebi, 40 * mebi, 80 * mebi} {
			large = offload.Alloc[byte](s, size)
			hoard(large)
			check(t, large.Free())
		}
		for range 200 {
			hoard(offload.Alloc[byte](s, 100_000))
		}
		if kept < 190 || l.Lost() > 20 {
			t.Errorf("%d of 204 invocations succeeded, %d executors were lost: %v", kept, l.Lost(), l.Losses())
		}
	})
}

// A library's own variables count.
func TestLibraryLargerThanMemory(t *testing.T) {
	s := session(t)
	source := memoryLibrary(t, "bulky.c")
	_, err := s.Lease(within(t), offload.Want{Executors: 1, Library: source, Oversubscribe: true, Memory: 64 * mebi})
	if err == nil || !strings.Contains(err.Error(), source) || !strings.Contains(err.Error(), " MiB of variables") || !strings.Contains(err.Error(), "64 MiB") || !strings.Contains(err.Error(), "Want.Memory") {
		t.Errorf("100 MiB of variables in 64 MiB: %v", err)
	}
	l := bounded(t, s, source, 128*mebi)
	_, err = l.Invoke(within(t), "touch", nil, nil).Wait(within(t))
	check(t, err)
}

func TestDefaultAndWrongMemory(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	for _, e := range l.Executors() {
		if e.Memory() < 64*mebi || e.Memory() != l.Memory() {
			t.Errorf("%s has %d bytes of memory, the lease %d", e, e.Memory(), l.Memory())
		}
	}
	for _, memory := range []int64{-1, 1, offload.MinMemory - 1} {
		if _, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Memory: memory}); err == nil || !strings.Contains(err.Error(), "Want.Memory") {
			t.Errorf("a lease with %d bytes: %v", memory, err)
		}
	}
	_, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Memory: 1 << 60, Oversubscribe: true})
	if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), "1 EiB") || !strings.Contains(err.Error(), "Want.Memory") {
		t.Errorf("a lease with more memory than there is: %v", err)
	}
}
