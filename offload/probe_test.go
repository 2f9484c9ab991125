package offload_test

import (
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/offload"
)

// A path that does not work is refused before it is used: with its transport and provider, the way
// of payloads that fails, and what happened.
func TestPathThatDoesNotWork(t *testing.T) {
	for _, test := range []struct {
		way    way
		fault  fabric.Fault
		reason []string
	}{
		{way{"ring", ""}, fabric.Fault{Invocation: 1, Kind: fabric.Break}, []string{"ring over memfd", "in the header's line", "broken on purpose"}},
		{way{"ring", ""}, fabric.Fault{Invocation: 2, Response: true, Kind: fabric.Drop}, []string{"behind the header", "no answer to 4096 bytes in 8s", "of 2 requests it has begun 2: its loop "}},
		{way{"ring", ""}, fabric.Fault{Invocation: 3, Kind: fabric.Corrupt, Byte: 8}, []string{"between memory regions", "no function of the library has this index"}},
		{way{"ring", ""}, fabric.Fault{Invocation: 2, Kind: fabric.Corrupt, Byte: 32}, []string{"behind the header", "4096 bytes came back changed"}},
		{way{"ofi-write", "tcp"}, fabric.Fault{Invocation: 2, Kind: fabric.Truncate, Byte: 4000}, []string{"ofi-write over tcp", "behind the header", "4000 bytes came back for 4096"}},
		{way{"ofi-write", "shm"}, fabric.Fault{Invocation: 3, Response: true, Kind: fabric.Corrupt, Byte: 23}, []string{"ofi-write over shm", "between memory regions", "more than was asked for"}},
		{way{"ofi-write", "tcp"}, fabric.Fault{Invocation: 3, Kind: fabric.Corrupt, Byte: 33}, []string{"between memory regions"}},
		{way{"ofi-send", "tcp"}, fabric.Fault{Invocation: 2, Response: true, Kind: fabric.Truncate, Byte: 1000}, []string{"ofi-send over tcp", "behind the header", "garbage"}},
		{way{"ofi-send", "shm"}, fabric.Fault{Invocation: 1, Response: true, Kind: fabric.Break}, []string{"ofi-send over shm", "in the header's line"}},
	} {
		over(t, test.way, func(t *testing.T) {
			s := session(t)
			struck := 0
			offload.Tamper(t, func(c *fabric.Client) {
				struck++
				check(t, c.Inject([]fabric.Fault{test.fault}))
			})
			l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true})
			if err == nil {
				check(t, l.Release())
				t.Fatal("it was taken")
			}
			if struck == 0 {
				t.Fatal("no client was tampered with")
			}
			for _, reason := range append(test.reason, "was tried and does not work") {
				if !strings.Contains(err.Error(), reason) {
					t.Errorf("the error does not say %q: %v", reason, err)
				}
			}
		})
	}
}
