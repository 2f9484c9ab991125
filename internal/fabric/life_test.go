package fabric_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// An executor that sleeps is woken by a request, a client that sleeps by a response.
func TestSleepAndWake(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
		buffer := p.region(fabric.Buffers, 16)
		for i := range 200 {
			if i%50 == 0 {
				p.waitForState(statspage.Warm)
			}
			id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: buffer.payload(0, 8), Output: buffer.payload(8, 8)})
			check(t, err)
			for p.client.Harvested() < id {
				if p.client.Arm() {
					poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
					if n, err := unix.Poll(poll, int(patience.Milliseconds())); n == 0 || err != nil && err != unix.EINTR {
						t.Fatalf("invocation %d: the client was not woken: %v", i, err)
					}
					p.client.Disarm()
				}
				_, err := p.client.Harvest(id, 0)
				check(t, err)
			}
		}
	})
}

// waitForState waits until the executor is in a state, which it reaches by itself.
func (p *peer) waitForState(state statspage.State) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); p.page.Read().State != state; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the executor is %s, not %s", p.page.Read().State, state)
		}
	}
}

// A hot timeout is in milliseconds (rFaaS compares it in the wrong unit).
func TestHotTimeout(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		const hot = 300 * time.Millisecond
		p := startPeer(t, transport, peerOptions{slots: 8, hot: hot})
		buffer := p.region(fabric.Buffers, 16)
		p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
		answered := time.Now()
		p.waitForState(statspage.Warm)
		if spun := time.Since(answered); spun < hot-50*time.Millisecond || spun > hot+promptly {
			t.Errorf("it slept after %v, its hot timeout is %v", spun, hot)
		}
	})
}

// What an executor dies of stands in its stats page, and whatever was answered before is kept.
func TestDeathsAreNoted(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		for _, death := range []struct {
			function string
			signal   unix.Signal
			exitCode int
		}{
			{"segfault", unix.SIGSEGV, -1},
			{"write_input", unix.SIGSEGV, -1},
			{"abort_now", unix.SIGABRT, -1},
			{"overflow_stack", unix.SIGSEGV, -1},
			{"exit_now", 0, 3},
		} {
			if death.function == "write_input" && transport.name != "ring" {
				continue // only there the input is the rank's own memory
			}
			t.Run(death.function, func(t *testing.T) {
				p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
				buffer := p.region(fabric.Buffers, 8192)
				p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
				_, err := p.client.Submit(&fabric.Request{Function: p.functions[death.function], Input: buffer.payload(0, 4096), Output: buffer.payload(4096, 4096)})
				check(t, err)
				select {
				case <-p.exited:
				case <-time.After(patience):
					t.Fatal("the executor lives")
				}
				stats := p.page.Read()
				if stats.State != statspage.Running || stats.Function != death.function || stats.Signal != int(death.signal) {
					t.Errorf("noted: %+v", stats)
				}
				status := p.command.ProcessState
				if death.signal == 0 && (status.ExitCode() != death.exitCode || !stats.ExitCalled) {
					t.Errorf("exit code %d, noted %v", status.ExitCode(), stats.ExitCalled)
				}
				if death.signal != 0 && status.ExitCode() != -1 {
					t.Errorf("ended with exit code %d instead of by %v", status.ExitCode(), death.signal)
				}
			})
		}
	})
}

// Nothing is left when both ends are gone.
func TestNothingIsLeft(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		count := func() int {
			entries, err := os.ReadDir("/proc/self/fd")
			check(t, err)
			return len(entries)
		}
		t.Run("warm-up", func(t *testing.T) { startPeer(t, transport, peerOptions{slots: 8, hot: -1}) })
		before := count()
		times := 20
		if transport.provider != "" {
			times = 4 // libfabric takes its time to load
		}
		for i := range times {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
				buffer := p.region(fabric.Buffers, 1<<20)
				p.invoke("echo", buffer.payload(0, 1000), buffer.payload(2000, 1000))
			})
		}
		if after := count(); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
		sharedFiles(t)
		for _, purpose := range []fabric.Purpose{fabric.Slots, fabric.Buffers, fabric.Constants, fabric.Mirrors} {
			if n, size := fabric.Usage(purpose); n != 0 || size != 0 {
				t.Errorf("%d %s of %d bytes are left", n, purpose, size)
			}
		}
	})
}

// What the loop writes into the stats page is what statspage reads, field by field.
func TestStatsPage(t *testing.T) {
	p := startPeer(t, transports[0], peerOptions{slots: 8, hot: -1})
	buffer := p.region(fabric.Buffers, 16)
	binary.NativeEndian.PutUint32(buffer.memory.Bytes(), 50)
	for range 3 {
		p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
	}
	before := p.page.Read()
	p.invoke("nap", buffer.payload(0, 4), fabric.Payload{})
	after := p.page.Read()
	if after.Invocations < 3 || after.RunningID != 4 || after.Function != "nap" || after.Signal != 0 || after.ExitCalled {
		t.Errorf("the page says %+v", after)
	}
	// The sums are written after the response, so the nap may not be in them yet.
	waitFor(t, "the nap's time", func() bool {
		napped := float64(p.page.Read().ComputeTicks-before.ComputeTicks) / float64(after.TicksPerSec)
		return napped > 0.049 && napped < 5
	})
	waitFor(t, "time spent spinning", func() bool { return p.page.Read().HotTicks > after.HotTicks })
	_, err := p.client.Submit(&fabric.Request{Function: p.functions["segfault"]})
	check(t, err)
	<-p.exited
	if stats := p.page.Read(); stats.FaultAddress != 16 {
		t.Errorf("the fault was at %#x", stats.FaultAddress)
	}
}

func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
