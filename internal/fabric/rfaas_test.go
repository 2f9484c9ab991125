package fabric_test

import (
	"math"
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// rFaaS's executors do not check the index of the function that they are to call. (The tests of its other
// defects are in offload/rfaas_test.go.)
func TestRFaaSDefectUncheckedFunctionIndex(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		buffer := p.region(fabric.Buffers, 16)
		for _, index := range []uint32{uint32(len(p.functions)), 10_000, math.MaxInt32, math.MaxUint32 - 1} {
			id, err := p.client.Submit(&fabric.Request{Function: index, Input: buffer.payload(0, 8), Output: buffer.payload(8, 8)})
			check(t, err)
			if response := p.wait(id)[0]; response.Status != fabric.StatusUnknownFunction {
				t.Errorf("function %d: %+v", index, response)
			}
		}
		if response := p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8)); response.Status != fabric.StatusOK {
			t.Errorf("afterwards: %+v", response)
		}
	})
}
