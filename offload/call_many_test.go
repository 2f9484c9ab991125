package offload_test

import (
	"context"
	"sync"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// Goroutines that call at once get their own sizes and bytes, whoever harvests what came.
func TestManyGoroutinesCall(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		var all sync.WaitGroup
		for g := range 4 {
			size := 8 * (g + 1)
			in, out := offload.Alloc[byte](s, size), offload.Alloc[byte](s, size)
			for i := range in.Slice() {
				in.Slice()[i] = byte(size)
			}
			all.Go(func() {
				for range 3000 {
					n, err := l.Call(context.Background(), "echo", in, out)
					if err != nil || n != size || out.Slice()[size-1] != byte(size) {
						t.Errorf("%d bytes came back of %d: %v, %v", n, size, out.Slice(), err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}
