package offload_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// large is the payload of BenchmarkLarge, in bytes and in words.
const (
	large      = 16 << 20
	largeWords = large / 8
)

// BenchmarkLarge passes 16 MiB by reference on the ring, one invocation at a time, beside a memcpy of
// 16 MiB by the rank, in turns. Before each of the two the rank writes all of the input anew, which is
// not timed, so that neither finds it in its own cache by luck.
//
// What is counted: the 16 MiB of one payload per round trip, from Invoke until Wait returns, never
// input and output together; and the 16 MiB of one memcpy, which reads and writes them, per its time.
// A round trip ends when the result can be read; the rank then looks at it untimed.
//
//	GB/s          large / median of the round trips
//	memcpy-GB/s   large / median of the memcpys
//	of-memcpy     the one divided by the other
//
// untouched is the passing alone, which costs a round trip whatever the size. The others have the function
// touch every byte in place: read its input, write its output, or copy the one to the other, and are
// limited by memory.
func BenchmarkLarge(b *testing.B) {
	for _, work := range []struct {
		function string
		output   int                                // words
		wrong    func(in, out []uint64, n int) bool // n: the size of the output in bytes
	}{
		{"untouched", largeWords, func(_, _ []uint64, n int) bool { return n != large }},
		{"read_all", 1, func(in, out []uint64, _ int) bool { return out[0] != in[0]*largeWords }},
		{"write_all", largeWords, func(in, out []uint64, _ int) bool {
			return slices.ContainsFunc(out, func(word uint64) bool { return word != in[0] })
		}},
		{"echo", largeWords, func(in, out []uint64, _ int) bool { return !slices.Equal(in, out) }},
	} {
		b.Run(work.function, func(b *testing.B) {
			b.Setenv("SUBLET_TRANSPORT", "ring")
			s := session(b)
			l, err := s.Lease(within(b), offload.Want{Executors: 1, Library: library, HotTimeout: offload.AlwaysHot, Oversubscribe: true})
			check(b, err)
			input, output := offload.Alloc[uint64](s, largeWords), offload.Alloc[uint64](s, work.output)
			in, out, target := input.Slice(), output.Slice(), make([]uint64, largeWords)
			ctx := context.Background()
			turn := uint64(0)
			refill := func() { // all bytes of a word alike, other ones each time
				turn = turn%255 + 1
				for i := range in {
					in[i] = turn * 0x0101010101010101
				}
			}
			var trips, copies []time.Duration
			once := func() {
				refill()
				began := time.Now()
				n, err := l.Invoke(ctx, work.function, input, output).Wait(ctx)
				trips = append(trips, time.Since(began))
				if err != nil || work.wrong(in, out, n) {
					b.Fatalf("%d bytes of wrong output, or %v", n, err)
				}
				refill()
				began = time.Now()
				copy(target, in)
				copies = append(copies, time.Since(began))
			}
			once() // maps and faults in all of the memory
			trips, copies = nil, nil
			for b.Loop() {
				once()
			}
			trip, memcpy := median(trips), median(copies)
			b.ReportMetric(float64(trip.Nanoseconds()), "ns/op")
			b.ReportMetric(large/float64(trip.Nanoseconds()), "GB/s")
			b.ReportMetric(large/float64(memcpy.Nanoseconds()), "memcpy-GB/s")
			b.ReportMetric(float64(memcpy)/float64(trip), "of-memcpy")
		})
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
