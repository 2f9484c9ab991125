package fabric_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
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

// BenchmarkMedian is the median of hot round trips over libfabric, of 8 bytes and of 1 KiB each way:
// what scripts/rdma-lab compares with a ping-pong of the device's own.
func BenchmarkMedian(b *testing.B) {
	for _, transport := range overFabric {
		for _, size := range []int{8, 1024} {
			b.Run(fmt.Sprintf("%s/%d bytes", transport.name, size), func(b *testing.B) {
				p := startPeer(b, transport, peerOptions{slots: 8, hot: -1})
				buffer := p.region(fabric.Buffers, 2*size)
				input, output := buffer.memory.Bytes()[:size], buffer.memory.Bytes()[size:]
				request := &fabric.Request{Function: p.functions["echo"], Input: buffer.payload(0, size), Output: buffer.payload(size, size)}
				took := make([]time.Duration, 0, b.N)
				for i := range b.N {
					start := time.Now()
					binary.NativeEndian.PutUint64(input, uint64(i))
					id, responses, err := p.client.SubmitAndHarvest(request, time.Second)
					check(b, err)
					for len(responses) == 0 {
						responses, err = p.client.Harvest(id, time.Second)
						check(b, err)
					}
					if !bytes.Equal(input, output) {
						b.Fatal("wrong output")
					}
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2]), "ns/median")
			})
		}
	}
}
