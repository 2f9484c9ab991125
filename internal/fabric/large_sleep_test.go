package fabric_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// A client that sleeps is woken for all that a large payload needs of it, whichever end moves it.
func TestLargePayloadsWakeTheClient(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		const size = 8 << 20
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
		times := 20
		if transport.provider == "verbs" {
			times = 4 // a device in software takes half a second each
		}
		for i := range times {
			start := time.Now()
			id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
			check(t, err)
			for p.client.Harvested() < id {
				if p.client.Arm() {
					timeout := patience
					if p.client.Nap() > 0 {
						timeout = p.client.Nap()
					}
					poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
					if n, err := unix.Poll(poll, int(timeout.Milliseconds())); n == 0 && timeout == patience || err != nil && err != unix.EINTR {
						t.Fatalf("invocation %d: the client was not woken: %v", i, err)
					}
					p.client.Disarm()
				}
				_, err := p.client.Harvest(id, 0)
				check(t, err)
			}
			if took := time.Since(start); took > patience/4 {
				t.Errorf("invocation %d took %v", i, took)
			}
		}
	})
}
