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
		times := 2
		if fabric.NeedsBells(transport.provider) { // which has locks in the memory of both
			times = 6
		}
		for name, ends := range map[string]func(*peer, *fabric.Request) (ended chan struct{}){
			"waiting for it": func(p *peer, request *fabric.Request) chan struct{} {
				begun, ended := make(chan struct{}), make(chan struct{})
				go func() {
					p.keepBusy(request, slots, begun)
					close(ended)
				}()
				<-begun
				killSoon(p)
				p.client.Abandon()
				return ended
			},
			"closing": func(p *peer, request *fabric.Request) chan struct{} {
				for range slots {
					_, err := p.client.Submit(request)
					check(t, err)
				}
				killSoon(p)
				ended := make(chan struct{})
				go func() {
					p.client.Close()
					close(ended)
				}()
				return ended
			},
		} {
			t.Run(transport.name+"/"+name, func(t *testing.T) {
				for range times {
					p := startPeer(t, transport, peerOptions{slots: slots, hot: -1})
					in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
					ended := ends(p, &fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
					select {
					case <-ended:
					case <-time.After(patience):
						panic("an executor that was killed holds its client") // which can not be closed either
					}
				}
			})
		}
	}
}

// keepBusy has the executor always work at something, until that fails or the executor has exited.
func (p *peer) keepBusy(request *fabric.Request, slots uint64, begun chan struct{}) {
	for i := uint64(0); ; i++ {
		_, err := p.client.Submit(request)
		if err == nil || errors.Is(err, fabric.ErrFull) {
			_, err = p.client.Harvest(p.client.Submitted()-slots/2, time.Millisecond)
		}
		if err != nil {
			return
		}
		if i == slots {
			close(begun)
		}
		select {
		case <-p.exited:
			return
		default:
		}
	}
}

// killSoon kills the executor at a moment that nobody has chosen.
func killSoon(p *peer) {
	time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
	p.kill()
}
