package fabric_test

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// BenchmarkRoundTrip is one invocation of 8 bytes at a time, with fresh input and the output read.
func BenchmarkRoundTrip(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport.name, func(b *testing.B) {
			p := startPeer(b, transport, peerOptions{slots: 8, hot: -1})
			buffer := p.region(fabric.Buffers, 16)
			input, output := buffer.memory.Bytes()[:8], buffer.memory.Bytes()[8:]
			request := &fabric.Request{Function: p.functions["echo"], Input: buffer.payload(0, 8), Output: buffer.payload(8, 8)}
			i := uint64(0)
			for b.Loop() {
				i++
				binary.NativeEndian.PutUint64(input, i)
				id, responses, err := p.client.SubmitAndHarvest(request, time.Second)
				check(b, err)
				for len(responses) == 0 {
					responses, err = p.client.Harvest(id, time.Second)
					check(b, err)
				}
				if binary.NativeEndian.Uint64(output) != i {
					b.Fatal("wrong output")
				}
			}
		})
	}
}

// BenchmarkWarm is the same with both ends asleep in between.
func BenchmarkWarm(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport.name, func(b *testing.B) {
			p := startPeer(b, transport, peerOptions{slots: 8, hot: 0})
			buffer := p.region(fabric.Buffers, 16)
			request := &fabric.Request{Function: p.functions["echo"], Input: buffer.payload(0, 8), Output: buffer.payload(8, 8)}
			poll := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
			for b.Loop() {
				id, err := p.client.Submit(request)
				check(b, err)
				for p.client.Harvested() < id {
					if p.client.Arm() {
						if _, err := unix.Poll(poll, int(patience.Milliseconds())); err != nil && err != unix.EINTR {
							b.Fatal(err)
						}
						p.client.Disarm()
					}
					_, err := p.client.Harvest(id, 0)
					check(b, err)
				}
			}
		})
	}
}
