package fabric_test

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

func buildExample(t *testing.T) (library string) {
	library = filepath.Join(t.TempDir(), "libfunctions.so")
	flags := append(strings.Fields(os.Getenv("CXXFLAGS")),
		"-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", library, "../../examples/functions.cpp")
	build := exec.CommandContext(t.Context(), cmp.Or(os.Getenv("CXX"), "g++"), flags...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

// The example that people start from, built as its comment says: the tutorial's empty function.
func TestExampleFunctions(t *testing.T) {
	library := os.Getenv(withExample)
	if library == "" {
		library = buildExample(t)
	}
	conform(t, func(t *testing.T, transport transport) {
		const largest = 1 << 20
		p := startPeer(t, transport, peerOptions{slots: 1, hot: -1, library: library})
		if len(p.functions) != 1 {
			t.Errorf("the library exports %v, and all that it exports is called as a function", p.functions)
		}
		in, out := p.region(fabric.Buffers, largest), p.region(fabric.Buffers, largest)
		for i, size := range []int{0, 1, 3, 4, 5, 1000, largest} {
			fill(in.memory.Bytes()[:size], uint64(i))
			clear(out.memory.Bytes())
			r := p.invoke("empty", in.payload(0, size), out.payload(0, size))
			if r.Status != fabric.StatusOK || r.Size != size {
				t.Fatalf("%d bytes: %+v", size, r)
			}
			passed := min(size, 4)
			if !bytes.Equal(in.memory.Bytes()[:passed], out.memory.Bytes()[:passed]) {
				t.Errorf("%d bytes: % x became % x", size, in.memory.Bytes()[:passed], out.memory.Bytes()[:passed])
			}
		}
	})
}
