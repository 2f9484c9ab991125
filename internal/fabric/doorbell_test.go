package fabric_test

import (
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// impostor is the other end of a ring, played by the test: it has what an executor is given, and
// does with it what no executor of ours does. Offsets are wire.h's, for 8 slots.
type impostor struct {
	t      *testing.T
	ring   *fabric.RingClient
	memory []byte
	end    int // of the doorbell
}

const (
	impostorSlots  = 8
	executorSleeps = 64
	responses      = 8192
	responseStride = 512
)

func newImpostor(t *testing.T) *impostor {
	t.Helper()
	ring, err := fabric.NewRing(impostorSlots, true)
	check(t, err)
	t.Cleanup(ring.Close)
	i := &impostor{t: t, ring: ring, end: -1}
	i.memory = mapRing(t, ring)
	withDescriptor(t, ring.Files.Doorbell, func(fd int) {
		i.end, err = unix.Dup(fd)
		check(t, err)
	})
	check(t, ring.Files.Doorbell.Close())
	t.Cleanup(i.hangUp)
	return i
}

func withDescriptor(t testing.TB, file *os.File, use func(fd int)) {
	t.Helper()
	raw, err := file.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) { use(int(fd)) }))
}

func (i *impostor) hangUp() {
	if i.end >= 0 {
		unix.Close(i.end)
	}
	i.end = -1
}

// answer writes the response to an invocation: success, without output.
func (i *impostor) answer(id uint64) { i.answerWith(id, 0) }

// answerWith writes the response to an invocation: success, with so many bytes.
func (i *impostor) answerWith(id, size uint64) {
	at := i.memory[responses+id%impostorSlots*responseStride:]
	clear(at[8:32])
	binary.NativeEndian.PutUint64(at[16:], size)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&at[0])), id)
}

// readable tells whether a sleep on the client's descriptor would end at once.
func (i *impostor) readable() bool {
	poll := []unix.PollFd{{Fd: int32(i.ring.Descriptor()), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	check(i.t, err)
	return n > 0
}

// within fails the test if something takes longer than what nothing of ours takes.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", what)
	}
}

// An executor that says that it sleeps, never looks, and makes its end wait, does not make the
// client wait.
func TestDoorbellThatNobodyAnswers(t *testing.T) {
	i := newImpostor(t)
	check(t, unix.SetNonblock(i.end, false))
	binary.NativeEndian.PutUint32(i.memory[executorSleeps:], 1)
	within(t, "ringing", func() {
		for range 5000 {
			id, err := i.ring.Submit(&fabric.Request{})
			if err != nil {
				t.Error(err)
				return
			}
			i.answer(id)
			if r, err := i.ring.Harvest(id, time.Second); err != nil || len(r) != 1 {
				t.Errorf("%v, %v", r, err)
				return
			}
		}
	})
}

// An executor that rings as often as it can wakes the client so often that it notices, but neither
// holds it nor keeps it from its response.
func TestDoorbellThatRingsWithoutNeed(t *testing.T) {
	i := newImpostor(t)
	check(t, unix.SetsockoptInt(i.end, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20))
	id, err := i.ring.Submit(&fabric.Request{})
	check(t, err)
	flood := func() (rings int) {
		for unix.Send(i.end, []byte{1}, unix.MSG_DONTWAIT) == nil {
			rings++
		}
		return rings
	}
	rings := flood()
	if rings < 100 {
		t.Fatalf("only %d rings: that is no flood", rings)
	}
	turns := 0
	for i.readable() {
		if turns++; turns > rings {
			t.Fatalf("after %d turns the doorbell still rings", turns)
		}
		if !i.ring.Arm() {
			t.Fatal("there is nothing to harvest, and it may not sleep")
		}
		i.ring.Disarm()
	}
	flood()
	i.answer(id)
	if r, err := i.ring.Harvest(id, time.Second); err != nil || len(r) != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// The end of a doorbell is the end of the executor: what it has answered before is harvested, and
// then nobody sleeps on what would wake him for ever.
func TestDoorbellIsClosed(t *testing.T) {
	for name, end := range map[string]func(i *impostor){
		"closed":           (*impostor).hangUp,
		"shut down":        func(i *impostor) { check(i.t, unix.Shutdown(i.end, unix.SHUT_RDWR)) },
		"shut on one side": func(i *impostor) { check(i.t, unix.Shutdown(i.end, unix.SHUT_WR)) },
		"says nothing":     func(i *impostor) { check(i.t, unix.Send(i.end, nil, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			i := newImpostor(t)
			first, err := i.ring.Submit(&fabric.Request{})
			check(t, err)
			second, err := i.ring.Submit(&fabric.Request{})
			check(t, err)
			if !i.ring.Arm() {
				t.Fatal("there is nothing to harvest, and it may not sleep")
			}
			i.answer(first)
			end(i)
			if !i.readable() {
				t.Fatal("the client was not woken")
			}
			i.ring.Disarm()
			if r, err := i.ring.Harvest(second, time.Second); err != nil || len(r) != 1 || r[0].ID != first {
				t.Errorf("what was answered before: %v, %v", r, err)
			}
			if i.ring.Arm() {
				t.Error("it may sleep on a doorbell that rings for ever")
			}
			if _, err := i.ring.Harvest(second, time.Second); !errors.Is(err, fabric.ErrBroken) {
				t.Errorf("the connection is %v", err)
			}
		})
	}
	t.Run("with nothing in flight", func(t *testing.T) {
		i := newImpostor(t)
		if !i.ring.Arm() {
			t.Fatal("there is nothing to harvest, and it may not sleep")
		}
		i.hangUp()
		i.ring.Disarm()
		if i.ring.Arm() {
			t.Error("it may sleep on a doorbell that rings for ever")
		}
		if _, err := i.ring.Submit(&fabric.Request{}); !errors.Is(err, fabric.ErrBroken) {
			t.Errorf("the connection is %v", err)
		}
	})
}

// An executor that only stops listening is not heard to do so, but keeps nobody from anything.
func TestDoorbellThatIsDeaf(t *testing.T) {
	i := newImpostor(t)
	binary.NativeEndian.PutUint32(i.memory[executorSleeps:], 1)
	check(t, unix.Shutdown(i.end, unix.SHUT_RD))
	id, err := i.ring.Submit(&fabric.Request{})
	check(t, err)
	if !i.ring.Arm() || i.readable() {
		t.Error("it can not sleep")
	}
	i.ring.Disarm()
	i.answer(id)
	if r, err := i.ring.Harvest(id, time.Second); err != nil || len(r) != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// A client that is gone wakes its executor, which ends.
func TestDoorbellOfAClientThatIsGone(t *testing.T) {
	for _, transport := range []transport{transports[0], shm, shmSends} {
		t.Run(transport.name, func(t *testing.T) {
			p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
			buffer := p.region(fabric.Buffers, 16)
			p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
			p.waitForState(statspage.Warm)
			p.close()
			p.close = func() {}
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatal("the executor sleeps on")
			}
		})
	}
}

// A client that sleeps is woken by the death of its executor.
func TestDoorbellOfAnExecutorThatIsKilled(t *testing.T) {
	for _, transport := range []transport{transports[0], shm, shmSends} {
		t.Run(transport.name, func(t *testing.T) {
			p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
			in := p.region(fabric.Buffers, 8)
			in.memory.Bytes()[1] = 0x40 // nap for 16 s
			id, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
			check(t, err)
			p.waitForState(statspage.Running)
			if !p.client.Arm() {
				t.Fatal("there is nothing to harvest, and it may not sleep")
			}
			go p.kill()
			poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
			n, err := unix.Poll(poll, int(patience.Milliseconds()))
			for errors.Is(err, unix.EINTR) {
				n, err = unix.Poll(poll, int(patience.Milliseconds()))
			}
			if n != 1 || err != nil {
				t.Fatalf("a sleeping client was not woken: %d, %v", n, err)
			}
			p.client.Disarm()
			if _, err := p.client.Harvest(id, time.Second); !errors.Is(err, fabric.ErrBroken) {
				t.Errorf("the connection is %v", err)
			}
		})
	}
}
