package fabric_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// awaitBroken harvests until the connection is known to be broken.
func (p *peer) awaitBroken(within time.Duration) {
	p.t.Helper()
	start := time.Now()
	for {
		_, err := p.client.Harvest(p.client.Submitted(), 10*time.Millisecond)
		if errors.Is(err, fabric.ErrBroken) {
			return
		}
		check(p.t, err)
		if time.Since(start) > within {
			p.t.Fatalf("after %v the client has not noticed that its executor is dead", within)
		}
	}
}

func TestExecutorIsKilled(t *testing.T) {
	connected(t, func(t *testing.T, transport transport) {
		for _, size := range []int{8, 64 << 20} {
			t.Run(fmt.Sprintf("spinning, %d bytes", size), func(t *testing.T) {
				p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
				in, out := p.region(fabric.Buffers, max(size, 8)), p.region(fabric.Buffers, size)
				clear(in.memory.Bytes()[:8])
				in.memory.Bytes()[1] = 0x40 // nap for 16 s
				_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
				check(t, err)
				_, err = p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
				check(t, err)
				p.waitForState(statspage.Running)
				p.kill()
				p.awaitBroken(promptly)
			})
		}
		t.Run("asleep", func(t *testing.T) {
			p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
			in := p.region(fabric.Buffers, 8)
			in.memory.Bytes()[1] = 0x40
			_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
			check(t, err)
			p.waitForState(statspage.Running)
			if !p.client.Arm() {
				t.Fatal("there is nothing to harvest, and it may not sleep")
			}
			go p.kill()
			poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
			for {
				n, err := unix.Poll(poll, int(promptly.Milliseconds()))
				if err == unix.EINTR {
					continue
				}
				if n != 1 || err != nil {
					t.Fatalf("a sleeping client was not woken: %d, %v", n, err)
				}
				break
			}
			p.client.Disarm()
			p.awaitBroken(promptly)
		})
	})
}

// asClient makes the test binary a client: it connects, invokes once, says so, and waits for its
// death; SIGTERM it takes as the Go programs do that ask for it.
const asClient = "FABRIC_TEST_CLIENT"

func runClient(arguments string) error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM) // before libfabric is loaded
	nameText, nonceText, _ := strings.Cut(arguments, " ")
	name, err := hex.DecodeString(nameText)
	if err != nil {
		return err
	}
	nonce, err := hex.DecodeString(nonceText)
	if err != nil {
		return err
	}
	client, err := fabric.ConnectOFI(fabric.OFIOptions{Provider: "tcp", Name: name, Nonce: nonce, Slots: 8})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Submit(&fabric.Request{Function: 10_000}); err != nil {
		return err
	}
	for client.Harvested() < 1 {
		if _, err := client.Harvest(1, time.Millisecond); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stdout, "connected")
	<-terminated
	fmt.Fprintln(os.Stdout, "terminated")
	select {}
}

func TestClientIsKilled(t *testing.T) {
	for _, hot := range []time.Duration{-1, 0} {
		t.Run(fmt.Sprintf("hot timeout %v", hot), func(t *testing.T) {
			p := startExecutor(t, peerOptions{hot: hot})
			name, nonce := p.listen(peerOptions{slots: 8})
			self, err := os.Executable()
			check(t, err)
			client := exec.Command(self)
			client.Env = append(os.Environ(), asClient+"="+hex.EncodeToString(name)+" "+hex.EncodeToString(nonce))
			client.Stderr = os.Stderr
			client.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			stdout, err := client.StdoutPipe()
			check(t, err)
			check(t, client.Start())
			expect := func(want string) {
				t.Helper()
				line := make([]byte, len(want)+1)
				if n, err := stdout.Read(line); string(line[:n]) != want+"\n" {
					t.Fatalf("the client says %q, %v", line[:n], err)
				}
			}
			expect("connected")
			// libfabric's dependencies install handlers that would end it here.
			check(t, client.Process.Signal(syscall.SIGTERM))
			expect("terminated")
			if hot == 0 {
				p.waitForState(statspage.Warm)
			}
			check(t, client.Process.Kill())
			_ = client.Wait() // killed
			select {
			case <-p.exited:
			case <-time.After(2 * time.Second):
				t.Fatal("2 s after its client was killed the executor lives")
			}
		})
	}
}

// Close is a revocation: not a byte of an output that is on its way lands after it.
func TestNothingLandsAfterClose(t *testing.T) {
	connected(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		const size = 64 << 20
		in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
		for i := range in.memory.Bytes() {
			in.memory.Bytes()[i] = 0xa5
		}
		check(t, out.memory.Prefault())
		_, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
		check(t, err)
		for out.memory.Bytes()[0] == 0 {
			_, err := p.client.Harvest(1, 0)
			check(t, err)
		}
		if p.client.Harvested() != 0 || out.memory.Bytes()[size-1] != 0 {
			t.Fatal("all of it came at once; nothing was in flight")
		}
		p.client.Close()
		landed := bytes.Count(out.memory.Bytes(), []byte{0xa5})
		select {
		case <-p.exited: // the executor has sent all that it ever will
		case <-time.After(patience):
			t.Fatal("the executor has not noticed")
		}
		if after := bytes.Count(out.memory.Bytes(), []byte{0xa5}); after != landed {
			t.Errorf("%d bytes had landed when Close returned, %d later", landed, after)
		}
	})
}

// Who waits for an executor that does not poll can be freed by another thread.
func TestAbandon(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, constant := p.region(fabric.Buffers, 8), p.region(fabric.Constants, 64<<20)
		in.memory.Bytes()[1] = 0x40
		_, err := p.client.Submit(&fabric.Request{Function: p.functions["nap"], Input: in.payload(0, 8)})
		check(t, err)
		p.waitForState(statspage.Running)
		pushed := make(chan error, 1)
		go func() { pushed <- p.client.Push(constant.id) }()
		p.client.Abandon()
		select {
		case err := <-pushed:
			// Over RDMA it may have ended well before: nobody need poll there.
			if !errors.Is(err, fabric.ErrBroken) && (err != nil || transport.provider != "verbs") {
				t.Errorf("the push ended with %v", err)
			}
		case <-time.After(promptly):
			t.Fatal("the push goes on")
		}
		if _, err := p.client.Submit(&fabric.Request{}); !errors.Is(err, fabric.ErrBroken) {
			t.Errorf("a request on an abandoned connection: %v", err)
		}
	})
}

// Connections leave nothing behind in either end's process.
func TestConnectionsComeAndGo(t *testing.T) {
	page, file, err := statspage.New()
	check(t, err)
	defer page.Close()
	e, err := fabric.NewExecutor(file)
	check(t, err)
	defer e.Close()
	functions, err := e.Load(testLibrary, nil)
	check(t, err)
	var echo uint32
	for i, f := range functions {
		if f.Name == "echo" {
			echo = uint32(i)
		}
	}
	memory, err := fabric.NewMemory(fabric.Buffers, 1<<20)
	check(t, err)
	defer memory.Close()

	cycle := func(transport transport) {
		nonce := make([]byte, fabric.NonceSize)
		rand.Read(nonce)
		listen := fabric.OFIListen{Transport: transport.path, Provider: transport.provider, Address: "127.0.0.1", Nonce: nonce, Slots: 2}
		options := fabric.OFIOptions{Transport: transport.path, Provider: transport.provider, Nonce: nonce, Slots: 2}
		endpoint, name, err := e.ListenOFI(listen)
		check(t, err)
		options.Name = name
		served := make(chan error, 1)
		go func() { served <- e.Serve(endpoint, 0) }()
		client, err := fabric.ConnectOFI(options)
		check(t, err)
		here, err := client.Attach(1, memory)
		check(t, err)
		there, err := e.Map(1, 1<<20, false, nil, here)
		check(t, err)
		check(t, client.Attached(1, there))
		part := fabric.Payload{Address: ptr(memory.Bytes()), Size: 70_000, Region: 1}
		id, err := client.Submit(&fabric.Request{Function: echo, Input: part, Output: part})
		check(t, err)
		for client.Harvested() < id {
			_, err := client.Harvest(id, time.Millisecond)
			check(t, err)
		}
		client.Close()
		client.Close() // does nothing
		if err := <-served; !errors.Is(err, fabric.ErrBroken) {
			t.Fatalf("the executor's loop ended with %v", err)
		}
	}
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return len(entries)
	}
	// shm's two ends in one process share what they map, and can not be closed one by one.
	for _, transport := range withEvents {
		cycle(transport)
		before := descriptors()
		for range 50 {
			cycle(transport)
		}
		if after := descriptors(); after > before {
			t.Errorf("%s: %d descriptors before, %d after", transport.name, before, after)
		}
	}
	for _, purpose := range []fabric.Purpose{fabric.Slots, fabric.Mirrors} {
		if n, size := fabric.Usage(purpose); n != 0 || size != 0 {
			t.Errorf("%d %s of %d bytes are left", n, purpose, size)
		}
	}
}
