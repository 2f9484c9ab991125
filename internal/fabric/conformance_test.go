package fabric_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// conform runs a test over every transport.
func conform(t *testing.T, test func(t *testing.T, transport transport)) {
	t.Helper()
	overEach(t, transports, test)
}

// overEach runs it over these, or, with -short, over the ring and one of libfabric's ways: the race
// detector sees Go, which is the same for all of them.
func overEach(t *testing.T, ways []transport, test func(t *testing.T, transport transport)) {
	t.Helper()
	for _, way := range ways {
		if !testing.Short() || way.name == transports[0].name || way.name == withEvents[0].name {
			t.Run(way.name, func(t *testing.T) { test(t, way) })
		}
	}
}

func fill(b []byte, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.NativeEndian.PutUint64(b[i:], random.Uint64())
	}
	for ; i < len(b); i++ {
		b[i] = byte(random.Uint32())
	}
}

// Sizes around every limit: the line, the slot, the page, and beyond.
var sizes = []int{
	0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 4032, 4033, 4095, 4096, 4097,
	8127, 8128, 8129, 8191, 8192, 8193, 8256, 8257,
	65535, 65536, 65537, 1<<20 - 1, 1 << 20, 5<<20 + 13, 33<<20 + 1,
}

func TestSizes(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		largest := sizes[len(sizes)-1]
		in, out := p.region(fabric.Buffers, largest), p.region(fabric.Buffers, largest+64)
		for _, size := range sizes {
			for _, function := range []string{"echo", "increment"} {
				fill(in.memory.Bytes()[:size], uint64(size))
				want := bytes.Clone(in.memory.Bytes()[:size])
				if function == "increment" {
					for i := range want {
						want[i]++
					}
				}
				edge := out.memory.Bytes()[size : size+64]
				fill(edge, 9)
				before := bytes.Clone(edge)

				response := p.invoke(function, in.payload(0, size), out.payload(0, size))
				if response.Status != fabric.StatusOK || response.Size != size {
					t.Fatalf("%s of %d bytes: status %d, %d bytes, %q", function, size, response.Status, response.Size, response.Text)
				}
				if !bytes.Equal(out.memory.Bytes()[:size], want) {
					t.Fatalf("%s of %d bytes: wrong output", function, size)
				}
				if !bytes.Equal(edge, before) {
					t.Fatalf("%s of %d bytes: bytes behind the output were written", function, size)
				}
			}
		}
	})
}

func TestLargest(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		const size = 256 << 20
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
		fill(in.memory.Bytes(), 8)
		if response := p.invoke("echo", in.payload(0, size), out.payload(0, size)); response.Status != fabric.StatusOK || response.Size != size {
			t.Fatalf("status %d, %d bytes, %q", response.Status, response.Size, response.Text)
		}
		if !bytes.Equal(in.memory.Bytes(), out.memory.Bytes()) {
			t.Fatal("wrong output")
		}
	})
}

// What every executor has, for trying a path: it is not counted.
func TestProbe(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, 1<<20), p.region(fabric.Buffers, 1<<20)
		fill(in.memory.Bytes(), 4)
		p.functions["probe"] = fabric.Probe
		for _, size := range []int{0, 8, 5000, 100_000} {
			response := p.invoke("probe", in.payload(0, size), out.payload(0, size))
			if response.Status != fabric.StatusOK || response.Size != size || !bytes.Equal(in.memory.Bytes()[:size], out.memory.Bytes()[:size]) {
				t.Errorf("%d bytes: %+v", size, response)
			}
		}
		if response := p.invoke("probe", in.payload(0, 16), out.payload(0, 8)); response.Status != fabric.StatusOutputTooSmall {
			t.Errorf("too small an output: %+v", response)
		}
		p.invoke("echo", in.payload(0, 8), out.payload(0, 8))
		waitFor(t, "one invocation", func() bool { return p.page.Read().Invocations == 1 })
	})
}

func TestPartsOfRegions(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, 3<<20), p.region(fabric.Buffers, 3<<20)
		fill(in.memory.Bytes(), 1)
		for _, part := range []struct{ from, to, size int }{{1, 3, 8}, {17, 1 << 20, 100}, {4099, 65, 70000}, {1<<20 + 1, 7, 1<<20 + 5}, {2 << 20, 2 << 20, 1 << 20}} {
			response := p.invoke("echo", in.payload(part.from, part.size), out.payload(part.to, part.size))
			if response.Status != fabric.StatusOK {
				t.Fatalf("%+v: status %d, %q", part, response.Status, response.Text)
			}
			if !bytes.Equal(in.memory.Bytes()[part.from:part.from+part.size], out.memory.Bytes()[part.to:part.to+part.size]) {
				t.Fatalf("%+v: wrong output", part)
			}
		}
	})
}

// Everything that is in flight is answered in the order of submission, with its own result.
func TestOrderAndPipelining(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		const total = 100
		largest := 70_001
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, largest*8), p.region(fabric.Buffers, largest*8)
		for inFlight := 1; inFlight <= 8; inFlight++ {
			for _, size := range []int{8, 100, largest} {
				before := int(p.client.Submitted())
				submitted, harvested := 0, 0
				for harvested < total {
					for submitted < total && submitted-harvested < inFlight {
						at := submitted % inFlight * size
						fill(in.memory.Bytes()[at:at+size], uint64(submitted))
						id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(at, size), Output: out.payload(at, size)})
						check(t, err)
						submitted++
						if id != uint64(before+submitted) {
							t.Fatalf("invocation %d got id %d", before+submitted, id)
						}
					}
					for _, response := range p.wait(uint64(before + harvested + 1)) {
						at := harvested % inFlight * size
						want := make([]byte, size)
						fill(want, uint64(harvested))
						harvested++
						if response.ID != uint64(before+harvested) || response.Status != fabric.StatusOK {
							t.Fatalf("%d of %d bytes: response %d has id %d, status %d", inFlight, size, before+harvested, response.ID, response.Status)
						}
						if !bytes.Equal(out.memory.Bytes()[at:at+size], want) {
							t.Fatalf("%d of %d bytes: response %d has another's output", inFlight, size, harvested)
						}
					}
				}
			}
		}
	})
}

func TestFullSlots(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 4, hot: -1})
		in := p.region(fabric.Buffers, 8)
		request := &fabric.Request{Function: p.functions["echo"], Input: in.payload(0, 8), Output: in.payload(0, 8)}
		for range 4 {
			_, err := p.client.Submit(request)
			check(t, err)
		}
		if _, err := p.client.Submit(request); !errors.Is(err, fabric.ErrFull) {
			t.Fatalf("a fifth invocation in four slots: %v", err)
		}
		p.wait(4)
		id, err := p.client.Submit(request)
		check(t, err)
		p.wait(id)
	})
}

// rFaaS's ids have 16 bits and its client breaks after 65,536 invocations. One at a time, or as many as
// there are slots where that would take minutes.
func TestManyInvocations(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		const slots = 8
		p := startPeer(t, transport, peerOptions{slots: slots, hot: -1})
		total, inFlight := uint64(200_000), uint64(1)
		switch {
		case transport.provider == "verbs" && !isSends(transport):
			inFlight = slots
		case transport.provider != "":
			total = 1<<16 + 4_000
		}
		buffer := p.region(fabric.Buffers, 16*slots)
		input := func(id uint64) int { return int(id % slots * 16) }
		output := func(id uint64) []byte { return buffer.memory.Bytes()[input(id)+8:][:8] }
		for id := uint64(0); id < total; {
			var responses []fabric.Response
			for last := id + inFlight; id < last; {
				id++
				at := input(id)
				binary.NativeEndian.PutUint64(buffer.memory.Bytes()[at:], id)
				request := &fabric.Request{Function: p.functions["count_calls"], Input: buffer.payload(at, 8), Output: buffer.payload(at+8, 8)}
				var err error
				if id < last {
					_, err = p.client.Submit(request)
				} else {
					_, responses, err = p.client.SubmitAndHarvest(request, time.Millisecond)
				}
				check(t, err)
			}
			responses = append([]fabric.Response(nil), responses...)
			if p.client.Harvested() < id {
				responses = append(responses, p.wait(id)...)
			}
			first := id - inFlight + 1
			for i := range inFlight {
				if uint64(len(responses)) != inFlight || responses[i].ID != first+i || binary.NativeEndian.Uint64(output(first+i)) != first+i {
					t.Fatalf("invocations %d to %d: %+v, the function counted %d", first, id, responses, binary.NativeEndian.Uint64(output(first+i)))
				}
			}
		}
		if stats := p.page.Read(); !stats.Initialized || stats.Invocations != total {
			t.Fatalf("the stats page counts %d invocations (initialized %v)", stats.Invocations, stats.Initialized)
		}
	})
}

func TestFailures(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		buffer := p.region(fabric.Buffers, 1<<20)
		binary.NativeEndian.PutUint32(buffer.memory.Bytes(), 42)

		response := p.invoke("failing", buffer.payload(0, 4), buffer.payload(8, 8))
		if response.Status != 42 || response.Text != "code 42 was asked for" {
			t.Errorf("a function's own error: %+v", response)
		}
		response = p.invoke("increment", buffer.payload(0, 1000), buffer.payload(2000, 999))
		if response.Status != fabric.StatusOutputTooSmall || response.Size != 1000 {
			t.Errorf("too small an output: %+v", response)
		}
		id, err := p.client.Submit(&fabric.Request{Function: 10_000})
		check(t, err)
		if response := p.wait(id)[0]; response.Status != fabric.StatusUnknownFunction {
			t.Errorf("an unknown function: %+v", response)
		}
		if response := p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8)); response.Status != fabric.StatusOK {
			t.Errorf("after errors: %+v", response)
		}
	})
}

func TestConstants(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		out := p.region(fabric.Buffers, 8)
		var ids []uint32
		var want uint64
		for i, size := range []int{1, 100, 100_000, 3 << 20} {
			constant := p.region(fabric.Constants, size)
			fill(constant.memory.Bytes(), uint64(i))
			check(t, p.client.Push(constant.id))
			for _, b := range constant.memory.Bytes() {
				want += uint64(b)
			}
			ids = append(ids, constant.id)
		}
		response := p.invoke("add_constants", fabric.Payload{}, out.payload(0, 8), ids...)
		if got := binary.NativeEndian.Uint64(out.memory.Bytes()); response.Status != fabric.StatusOK || got != want {
			t.Errorf("%+v: sum %d, want %d", response, got, want)
		}
	})
}

// A function of rFaaS's kind does not know how much fits (rFaaS defect 7). What it writes beyond
// its output never reaches the rank.
func TestOverflowStaysWithTheExecutor(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		for _, size := range []int{5, 8, 30, 100, 5000, 40_000} {
			p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
			buffer := p.region(fabric.Buffers, 1<<20)
			fill(buffer.memory.Bytes(), 3)
			before := bytes.Clone(buffer.memory.Bytes())
			id, err := p.client.Submit(&fabric.Request{Function: p.functions["twice"], Input: buffer.payload(0, size), Output: buffer.payload(1<<19, size)})
			check(t, err)
			// It ends with an error or with a crash; small overflows may go unnoticed by all but us.
			answered := false
			waitFor(t, "an ending", func() bool {
				responses, err := p.client.Harvest(id, time.Millisecond)
				for _, response := range responses {
					answered = true
					if response.Status != fabric.StatusOutputTooSmall || response.Size != 2*size {
						t.Errorf("%d bytes into %d: %+v", 2*size, size, response)
					}
				}
				select {
				case <-p.exited:
					return true
				default:
					return answered || err != nil
				}
			})
			p.kill()
			after := buffer.memory.Bytes()
			if !bytes.Equal(after[1<<19+size:], before[1<<19+size:]) || !bytes.Equal(after[:1<<19], before[:1<<19]) {
				t.Errorf("%d bytes into %d were written over something else", 2*size, size)
			}
		}
	})
}

func TestNamesAndSizesOfFunctions(t *testing.T) {
	p := startPeer(t, transports[0], peerOptions{slots: 8, hot: -1})
	buffer := p.region(fabric.Buffers, 100)
	if response := p.invoke("renamed", buffer.payload(0, 8), buffer.payload(8, 8)); response.Status != fabric.StatusOK || response.Size != 0 {
		t.Errorf("a function named by a macro: %+v", response)
	}
	if response := p.invoke("boast", buffer.payload(0, 8), buffer.payload(8, 8)); response.Status != 1 || response.Text == "" {
		t.Errorf("an impossible size: %+v", response)
	}
}

// Nobody who has a sealed constant's file can change it.
func TestSealedConstants(t *testing.T) {
	memory, err := fabric.NewMemory(fabric.Constants, 4096)
	check(t, err)
	defer memory.Close()
	memory.Bytes()[0] = 1
	memory.Seal()
	fd := int(memory.File().Fd())
	if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("it was mapped writable")
	}
	if _, err := unix.Pwrite(fd, []byte{2}, 0); err == nil {
		t.Error("it was written to")
	}
	if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); err == nil {
		t.Error("a hole was punched into it")
	}
	if memory.Bytes()[0] != 1 {
		t.Error("it has changed")
	}
}

// sharedFiles checks that libfabric leaves none of our files in shared memory. Those of other tests'
// processes that come and go meanwhile are gone soon; what is left stays.
func sharedFiles(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/dev/shm/sublet-*")
	check(t, err)
	for _, file := range files {
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("left in shared memory: %v", file)
				break
			}
		}
	}
}
