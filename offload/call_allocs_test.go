//go:build !race

package offload_test

import (
	"context"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// In the long run a call allocates nothing. (The race detector drops what is to be used again.)
func TestCallAllocatesNothing(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		in, out := offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
		ctx := context.Background()
		call := func() {
			if _, err := l.Call(ctx, "echo", in, out); err != nil {
				t.Fatal(err)
			}
		}
		// On a machine that others use an answer may come too late for the short way.
		waitFor(t, "calls without an allocation", func() bool { return testing.AllocsPerRun(200, call) == 0 })
	})
}
