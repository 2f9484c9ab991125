//go:build !race

package offload_test

import (
	"context"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// In the long run nothing is allocated. (The race detector drops what is to be used again.)
func TestInvokingAllocatesNothing(t *testing.T) {
	over(t, way{"ring", ""}, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 1)
		ctx := context.Background()
		const slots = 8
		var in, out [slots]*offload.Buffer[uint64]
		for i := range slots {
			in[i], out[i] = offload.Alloc[uint64](s, 1), offload.Alloc[uint64](s, 1)
		}
		var futures [slots]offload.Future
		calls, _ := many(s, 100)
		for what, invoke := range map[string]func(){
			"Call": func() {
				_, err := l.Call(ctx, "echo", in[0], out[0])
				check(t, err)
			},
			"Invoke and Wait": func() {
				_, err := l.Invoke(ctx, "echo", in[0], out[0]).Wait(ctx)
				check(t, err)
			},
			"CallAll": func() { check(t, l.CallAll(ctx, "square", calls)) },
			"Invoke into all slots": func() {
				for i := range slots {
					futures[i] = l.Invoke(ctx, "echo", in[i], out[i])
				}
				for i := range slots {
					_, err := futures[i].Wait(ctx)
					check(t, err)
				}
			},
		} {
			// On a machine that others use an answer may come too late for the short way.
			waitFor(t, what+" without an allocation", func() bool { return testing.AllocsPerRun(200, invoke) == 0 })
		}
	})
}
