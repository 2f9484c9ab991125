package fabric_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Headers as wire.h lays them out.
const (
	requestSize  = 128
	responseSize = 64
	slotPayload  = 64 << 10
	maxText      = 448
)

// forgedRequest is the header of a request but for its id.
type forgedRequest struct {
	function                  uint32
	flags, constants          uint16
	inputSize, capacity       uint64
	inputRegion, outputRegion uint32
	inputOffset, outputOffset uint64
	constant                  uint32
	inlined                   []byte
}

func (r *forgedRequest) bytes() []byte {
	b := make([]byte, requestSize)
	binary.NativeEndian.PutUint32(b[8:], r.function)
	binary.NativeEndian.PutUint16(b[12:], r.flags)
	binary.NativeEndian.PutUint16(b[14:], r.constants)
	binary.NativeEndian.PutUint64(b[16:], r.inputSize)
	binary.NativeEndian.PutUint64(b[24:], r.capacity)
	copy(b[32:64], r.inlined)
	binary.NativeEndian.PutUint32(b[64:], r.inputRegion)
	binary.NativeEndian.PutUint64(b[72:], r.inputOffset)
	binary.NativeEndian.PutUint32(b[80:], r.outputRegion)
	binary.NativeEndian.PutUint64(b[88:], r.outputOffset)
	for i := range 8 {
		binary.NativeEndian.PutUint32(b[96+4*i:], r.constant)
	}
	return b
}

// Seeds: what a client of ours writes, and what is just beside it.
var requestSeeds = []forgedRequest{
	{function: fabric.Probe, flags: 1 | 4, inputSize: 8, capacity: 8, inlined: []byte("12345678")},
	{function: fabric.Probe, flags: 1 | 4, inputSize: 32, capacity: 33},
	{function: fabric.Probe, flags: 1, inputSize: 33, capacity: 4096, outputRegion: 2},
	{function: fabric.Probe, inputSize: 4096, capacity: 4096, inputRegion: 1, outputRegion: 2},
	{function: fabric.Probe, inputSize: 1 << 20, capacity: 1 << 20, inputRegion: 1, outputRegion: 2},
	{function: fabric.Probe, inputSize: 1<<20 + 1, capacity: 1 << 40, inputRegion: 1, outputRegion: 2},
	{function: fabric.Probe, inputSize: 1<<20 + 1, capacity: 1<<20 + 1, inputRegion: 1, outputRegion: 2},
	{function: fabric.Probe, inputSize: 16, capacity: 17, inputRegion: 1, outputRegion: 2, inputOffset: 1<<20 - 16, outputOffset: 1<<20 - 16},
	{function: fabric.Probe, inputSize: 17, capacity: 17, inputRegion: 1, outputRegion: 2, inputOffset: 1<<20 - 16},
	{function: fabric.Probe, inputSize: 16, capacity: 16, inputRegion: 1, outputRegion: 2, inputOffset: 1<<20 - 16, outputOffset: 1<<20 - 16},
	{function: fabric.Probe, inputSize: 1 << 63, capacity: 1 << 63, inputRegion: 1, outputRegion: 2, inputOffset: 1 << 63, outputOffset: 1 << 63},
	{function: fabric.Probe, inputSize: 8, capacity: 8, inputRegion: 1, outputRegion: 2, inputOffset: 1<<64 - 4},
	{function: fabric.Probe, inputSize: 8, capacity: 8, inputRegion: 4096, outputRegion: 2},
	{function: fabric.Probe, inputSize: 8, capacity: 8, inputRegion: 1 << 31, outputRegion: 2},
	{function: fabric.Probe, inputSize: 8, capacity: 8, inputRegion: 1, outputRegion: 3}, // a constant
	{function: fabric.Probe, flags: 2 | 8, inputSize: slotPayload, capacity: slotPayload},
	{function: fabric.Probe, flags: 2, inputSize: slotPayload + 1, capacity: 1 << 20, outputRegion: 2},
	{function: fabric.Probe, flags: 8, inputSize: 1 << 20, capacity: slotPayload + 1, inputRegion: 1},
	{function: 1, flags: 15, inputSize: 32, capacity: 32, constants: 8, constant: 3},
	{function: 1, flags: 1 | 4, constants: 9, constant: 3},
	{function: 2, flags: 1 | 4, constants: 1, constant: 4095},
	{function: 10_000, flags: 1 | 4},
}

const (
	fuzzedRegion   = 1 << 20
	fuzzedConstant = 1000
)

// within tells whether a reference lies in a region of that victim.
func (v *victim) within(region uint32, offset, size uint64, written bool) bool {
	bytes := uint64(fuzzedRegion)
	if region == 3 {
		bytes = fuzzedConstant
	}
	return region >= 1 && (region <= 2 || region == 3 && !written) && offset <= bytes && size <= bytes-offset
}

// refusal is what a request must be refused with, or success if it is well-formed.
func (v *victim) refusal(r *forgedRequest) fabric.Status {
	switch {
	case r.flags&1 != 0 && r.inputSize > 32,
		r.flags&3 == 2 && (v.noSlot || r.inputSize > slotPayload):
		return fabric.StatusMalformed
	case r.flags&3 == 0 && !v.within(r.inputRegion, r.inputOffset, r.inputSize, false):
		return fabric.StatusBadReference
	case r.flags&4 != 0 && r.capacity > 32,
		r.flags&12 == 8 && (v.noSlot && r.capacity > 0 || r.capacity > slotPayload):
		return fabric.StatusMalformed
	case r.flags&12 == 0 && !v.within(r.outputRegion, r.outputOffset, r.capacity, true):
		return fabric.StatusBadReference
	case r.constants > fabric.MaxConstants:
		return fabric.StatusMalformed
	case r.constants > 0 && !v.within(r.constant, 0, 0, false):
		return fabric.StatusBadReference
	}
	return fabric.StatusOK
}

// victim is an executor that gets forged requests, and what it may write to.
type victim struct {
	*peer
	harmless []uint32
	output   region
	noSlot   bool // no payload can lie behind a header, on its way in or out
	send     func(request []byte) (status fabric.Status, size uint64)
}

// newVictim starts an executor with regions 1 (input), 2 (output), and 3 (constant).
func newVictim(f *testing.F, transport transport) *victim {
	f.Helper()
	v := &victim{peer: startPeer(f, transport, peerOptions{slots: 8, hot: 10 * time.Millisecond})}
	v.prepare()
	v.send = func(request []byte) (fabric.Status, uint64) {
		id, err := v.client.SubmitRaw(request)
		check(v.t, err)
		r := v.wait(id)[0]
		return r.Status, uint64(r.Size)
	}
	return v
}

func (v *victim) prepare() {
	fill(v.region(fabric.Buffers, fuzzedRegion).memory.Bytes(), 1)
	v.output = v.region(fabric.Buffers, fuzzedRegion)
	constant := v.region(fabric.Constants, fuzzedConstant)
	check(v.t, v.client.Push(constant.id))
	// Those of the test library that do not crash, or overflow, when they are asked to.
	for _, name := range []string{"increment", "failing", "boast", "nothing"} {
		v.harmless = append(v.harmless, v.functions[name])
	}
}

// newRingVictim is newVictim for the ring, whose requests are written to its memory.
func newRingVictim(f *testing.F) *victim {
	f.Helper()
	v := &victim{peer: startExecutor(f, peerOptions{hot: -1}), noSlot: true}
	ring, err := fabric.NewRing(impostorSlots, false)
	check(f, err)
	v.client, v.close = ring.Client, ring.Close
	v.call(control.TypeOpen, control.Open{Wire: fabric.WireVersion, Transport: fabric.Ring, Slots: impostorSlots}, &control.Opened{},
		ring.Files.Memory, ring.Files.Doorbell)
	check(f, ring.Files.Doorbell.Close())
	v.prepare()
	memory := mapRing(f, ring)
	id := uint64(0)
	v.send = func(request []byte) (fabric.Status, uint64) {
		id++
		slot := memory[4096+id%impostorSlots*requestSize:]
		copy(slot[8:requestSize], request[8:])
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&slot[0])), id)
		answer := memory[responses+id%impostorSlots*responseStride:]
		deadline := time.Now().Add(patience)
		for turns := 1; atomic.LoadUint64((*uint64)(unsafe.Pointer(&answer[0]))) != id; turns++ {
			if turns%32 != 0 {
				continue
			}
			select {
			case <-v.exited:
				v.t.Fatal("the executor has died")
			default:
			}
			if time.Now().After(deadline) {
				v.t.Fatalf("request %d is not answered", id)
			}
			_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // never fails
		}
		return fabric.Status(int32(binary.NativeEndian.Uint32(answer[8:]))), binary.NativeEndian.Uint64(answer[16:])
	}
	return v
}

// try sends a forged request and checks what came of it: an answer, from an executor that lives, and
// nothing written outside the output.
func (v *victim) try(t *testing.T, r *forgedRequest, message []byte) {
	t.Helper()
	v.t = t
	if r.function < uint32(len(v.functions)) && !slices.Contains(v.harmless, r.function) {
		binary.NativeEndian.PutUint32(message[8:], v.harmless[r.function%uint32(len(v.harmless))])
	}
	clear(v.output.memory.Bytes())
	status, size := v.send(message)
	select {
	case <-v.exited:
		t.Fatal("the executor has died")
	default:
	}
	want, refused := v.refusal(r), status == fabric.StatusMalformed || status == fabric.StatusBadReference
	if want != fabric.StatusOK && status != want || want == fabric.StatusOK && refused {
		t.Errorf("status %d instead of %d", status, want)
	}
	if status < fabric.StatusMalformed || status == fabric.StatusOK && size > r.capacity {
		t.Errorf("status %d, %d bytes of %d", status, size, r.capacity)
	}
	if r.flags&(4|8) != 0 || r.outputRegion != v.output.id || status != fabric.StatusOK {
		r.outputOffset, size = 0, 0
	}
	out := v.output.memory.Bytes()
	if r.outputOffset > fuzzedRegion || size > fuzzedRegion-r.outputOffset {
		t.Fatalf("%d bytes at %d were written, of %d", size, r.outputOffset, fuzzedRegion)
	}
	before, behind := out[:r.outputOffset], out[r.outputOffset+size:]
	if status == fabric.StatusOK && (bytes.Count(before, []byte{0}) != len(before) || bytes.Count(behind, []byte{0}) != len(behind)) {
		t.Errorf("something beside the %d bytes at %d was written", size, r.outputOffset)
	}
}

func addRequests(f *testing.F) {
	f.Helper()
	for _, r := range requestSeeds {
		f.Add(r.function, r.flags, r.constants, r.inputSize, r.capacity, r.inputRegion, r.outputRegion, r.inputOffset, r.outputOffset, r.constant, r.inlined)
	}
}

// Whatever a request's header says, the executor answers it, and goes on.
func FuzzRequestOverRing(f *testing.F) {
	v := newRingVictim(f)
	addRequests(f)
	f.Fuzz(func(t *testing.T, function uint32, flags, constants uint16, inputSize, capacity uint64, inputRegion, outputRegion uint32, inputOffset, outputOffset uint64, constant uint32, inlined []byte) {
		r := &forgedRequest{function, flags, constants, inputSize, capacity, inputRegion, outputRegion, inputOffset, outputOffset, constant, inlined}
		v.try(t, r, r.bytes())
	})
}

// The same where a payload may lie behind the header, and the executor fetches what does not.
func FuzzRequestOverLibfabric(f *testing.F) {
	victims := []*victim{newVictim(f, ofi), newVictim(f, sends)}
	addRequests(f)
	f.Fuzz(func(t *testing.T, function uint32, flags, constants uint16, inputSize, capacity uint64, inputRegion, outputRegion uint32, inputOffset, outputOffset uint64, constant uint32, inlined []byte) {
		for _, v := range victims {
			r := &forgedRequest{function, flags, constants, inputSize, capacity, inputRegion, outputRegion, inputOffset, outputOffset, constant, inlined}
			message := r.bytes()
			if flags&2 != 0 {
				message = append(message, make([]byte, min(inputSize, slotPayload))...)
			}
			v.try(t, r, message)
		}
	})
}

// forgedResponse is what a lying executor answers.
type forgedResponse struct {
	id       uint64
	status   int32
	textSize uint32
	size     uint64
	behind   []byte // the header
}

func (r *forgedResponse) bytes() []byte {
	b := binary.NativeEndian.AppendUint64(nil, r.id)
	b = binary.NativeEndian.AppendUint32(b, uint32(r.status))
	b = binary.NativeEndian.AppendUint32(b, r.textSize)
	b = binary.NativeEndian.AppendUint64(b, r.size)
	return append(append(b, make([]byte, responseSize-len(b))...), r.behind...)
}

var responseSeeds = []struct {
	forgedResponse
	capacity uint32
	length   uint32 // of the message
	number   uint32 // of the completion
}{
	{forgedResponse{id: 1, size: 8}, 8, responseSize, 1},
	{forgedResponse{id: 1, size: 9}, 8, responseSize, 1},
	{forgedResponse{id: 1, size: 32}, 32, responseSize, 1},
	{forgedResponse{id: 1, size: slotPayload, behind: []byte("output")}, slotPayload, responseSize + slotPayload, 1},
	{forgedResponse{id: 1, size: 1 << 63}, slotPayload, responseSize, 1},
	{forgedResponse{id: 1, size: 70_000}, 70_000, responseSize, 1},
	{forgedResponse{id: 1, status: 5, textSize: maxText, behind: []byte("text")}, 8, responseSize + maxText, 1},
	{forgedResponse{id: 1, status: -3, textSize: maxText + 1, size: 1 << 62}, 8, responseSize, 1},
	{forgedResponse{id: 1, status: -128, textSize: 1 << 31}, 8, responseSize, 1},
	{forgedResponse{id: 2}, 8, responseSize, 2},
	{forgedResponse{id: 0}, 8, 8, 0},
	{forgedResponse{id: 1}, 8, 63, 1},
	{forgedResponse{id: 9}, 8, responseSize, 9},
	{forgedResponse{id: 1 << 32}, 8, responseSize, 1},
}

// dupe is a client that is lied to, with one invocation in flight.
type dupe struct {
	client *fabric.Client
	buffer []byte // the output and a margin
}

const margin = 64

func newDupe(t *testing.T, client *fabric.Client, capacity uint32) *dupe {
	t.Helper()
	d := &dupe{client, bytes.Repeat([]byte{0xee}, int(capacity)+margin)}
	_, err := client.Submit(&fabric.Request{Output: fabric.Payload{Address: ptr(d.buffer), Size: int(capacity)}})
	check(t, err)
	return d
}

// believes harvests and checks that what the client makes of it is possible.
func (d *dupe) believes(t *testing.T) {
	t.Helper()
	capacity := len(d.buffer) - margin
	got, err := d.client.Harvest(1, 0)
	var protocol *fabric.ProtocolError
	if err != nil && !errors.As(err, &protocol) && !errors.Is(err, fabric.ErrBroken) && err.Error() == "" {
		t.Errorf("%T without a text", err)
	}
	for _, r := range got {
		if r.ID != 1 || r.Status == fabric.StatusOK && r.Size > capacity || r.Size < 0 || r.InCall < 0 || len(r.Text) > maxText {
			t.Errorf("%+v of %d bytes", r, capacity)
		}
	}
	if len(got) > 1 {
		t.Errorf("%d responses to one request", len(got))
	}
	if !bytes.Equal(d.buffer[capacity:], bytes.Repeat([]byte{0xee}, margin)) {
		t.Error("something behind the output was written")
	}
	if err != nil {
		if _, again := d.client.Submit(&fabric.Request{}); !errors.Is(again, err) {
			t.Errorf("after %q it can be used: %v", err, again)
		}
	}
}

// Whatever an executor answers, the client believes nothing impossible: over the ring, where it
// looks at memory, and over libfabric, where a message comes or a write is announced.
func FuzzResponse(f *testing.F) {
	for _, s := range responseSeeds {
		f.Add(s.id, s.status, s.textSize, s.size, s.behind, s.capacity, s.length, s.number)
	}
	f.Fuzz(func(t *testing.T, id uint64, status int32, textSize uint32, size uint64, behind []byte, capacity, length, number uint32) {
		capacity %= 80_000
		forged := forgedResponse{id, status, textSize, size, behind}
		message := forged.bytes()
		message = message[:min(len(message), responseSize+slotPayload)]

		ring, err := fabric.NewRing(1, false)
		check(t, err)
		defer ring.Close()
		d := newDupe(t, ring.Client, capacity)
		memory := mapRing(t, ring)
		copy(memory[responses+8:responses+responseStride], message[8:])
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&memory[responses])), id)
		d.believes(t)

		for _, transport := range []string{fabric.OFIWrite, fabric.OFISend} {
			client, err := fabric.NewTrial(transport, 1)
			check(t, err)
			d := newDupe(t, client, capacity)
			for range 3 {
				sent := append(message, make([]byte, responseSize+slotPayload-len(message))...)[:length%(responseSize+slotPayload+1)]
				client.Arrives(number, sent)
				d.believes(t)
				number++
			}
			client.Close()
		}
	})
}

// mapRing maps a ring as its executor would, but all of it writable.
func mapRing(t testing.TB, ring *fabric.RingClient) (memory []byte) {
	t.Helper()
	withDescriptor(t, ring.Files.Memory, func(fd int) {
		var err error
		memory, err = unix.Mmap(fd, 0, responses+ring.Slots()*responseStride, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		check(t, err)
	})
	t.Cleanup(func() { check(t, unix.Munmap(memory)) })
	return memory
}
