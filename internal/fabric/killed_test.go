package fabric_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// An executor that is killed at whatever moment holds nobody: neither who waits for it, nor who closes.
func TestKilledAtAnyMoment(t *testing.T) {
	const size, slots = 5000, 4
	for _, transport := range overFabric {
		t.Run(transport.name, func(t *testing.T) {
			times := 2
			if fabric.NeedsBells(transport.provider) { // which has locks in the memory of both
				times = 8
			}
			for range times {
				p := startPeer(t, transport, peerOptions{slots: slots, hot: -1})
				in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
				request := fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)}
				begun, ended := make(chan struct{}), make(chan error, 1)
				go func() {
					for i := 0; ; i++ {
						_, err := p.client.Submit(&request)
						if err == nil || errors.Is(err, fabric.ErrFull) {
							_, err = p.client.Harvest(p.client.Submitted()-slots/2, time.Millisecond)
						}
						if err != nil {
							ended <- err
							return
						}
						if i == slots {
							close(begun)
						}
						select {
						case <-p.exited:
							ended <- nil
							return
						default:
						}
					}
				}()
				<-begun
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // the moment
				p.kill()
				p.client.Abandon()
				select {
				case <-ended:
				case <-time.After(patience):
					t.Fatal("who waited for the executor was not let go")
				}
				p.stop()
			}
		})
	}
}
