package offload_test

import (
	"context"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// BenchmarkCall is BenchmarkInvoke by Call, on the ring.
func BenchmarkCall(b *testing.B) {
	b.Setenv("SUBLET_TRANSPORT", "ring")
	s := session(b)
	l, err := s.Lease(within(b), offload.Want{Executors: 1, Library: library, HotTimeout: offload.AlwaysHot, Oversubscribe: true})
	check(b, err)
	in, out := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
	ctx := context.Background()
	for b.Loop() {
		in.Slice()[0]++
		if _, err := l.Call(ctx, "echo", in, out); err != nil {
			b.Fatal(err)
		}
		if out.Slice()[0] != in.Slice()[0] {
			b.Fatal("wrong output")
		}
	}
}

// BenchmarkInvoke is one invocation of 8 bytes at a time, with fresh input and the output read.
func BenchmarkInvoke(b *testing.B) {
	for _, transport := range []string{"ring", "ofi-write"} {
		b.Run(transport, func(b *testing.B) {
			b.Setenv("SUBLET_TRANSPORT", transport)
			s := session(b)
			l, err := s.Lease(within(b), offload.Want{Executors: 1, Library: library, HotTimeout: offload.AlwaysHot, Oversubscribe: true})
			check(b, err)
			in, out := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				in.Slice()[0]++
				if _, err := l.Invoke(ctx, "echo", in, out).Wait(ctx); err != nil {
					b.Fatal(err)
				}
				if out.Slice()[0] != in.Slice()[0] {
					b.Fatal("wrong output")
				}
			}
		})
	}
}
