package fabric_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// expected is what an invocation in flight must end with.
type expected struct {
	id       uint64
	lane     int
	size     int
	capacity int
}

// Any sequence of submitting, harvesting and sleeping gives every invocation its own result, in
// order, on every transport.
func TestAnySequence(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		const lanes, lane = 8, 160 << 10
		p := startPeer(t, transport, peerOptions{slots: lanes, hot: time.Millisecond})
		in, out := p.region(fabric.Buffers, lanes*lane), p.region(fabric.Buffers, lanes*lane)
		fill(in.memory.Bytes(), 7)
		size := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(4000, 5000), rapid.IntRange(65_500, 65_600), rapid.IntRange(0, lane))

		rapid.Check(t, func(r *rapid.T) {
			var flight []expected
			took := func(responses []fabric.Response, err error) {
				if err != nil {
					r.Fatal(err)
				}
				for _, response := range responses {
					want := flight[0]
					flight = flight[1:]
					status := fabric.StatusOK
					if want.size > want.capacity {
						status = fabric.StatusOutputTooSmall
					}
					if response.ID != want.id || response.Status != status || response.Size != want.size {
						r.Fatalf("%+v ended with %+v", want, response)
					}
					got, source := out.memory.Bytes()[want.lane*lane:], in.memory.Bytes()[want.lane*lane:]
					written := want.size
					if status != fabric.StatusOK {
						written = 0
					}
					for i := range written {
						if got[i] != source[i]+1 {
							r.Fatalf("%+v: byte %d of the output is wrong", want, i)
						}
					}
					if bytes.Count(got[written:lane], []byte{0}) != lane-written {
						r.Fatalf("%+v: bytes behind the output were written", want)
					}
				}
			}
			finish := func() {
				for deadline := time.Now().Add(patience); len(flight) > 0; {
					took(p.client.Harvest(flight[len(flight)-1].id, 10*time.Millisecond))
					if time.Now().After(deadline) {
						r.Fatalf("%+v is not answered", flight[0])
					}
				}
			}
			r.Repeat(map[string]func(*rapid.T){
				"submit": func(r *rapid.T) {
					if len(flight) == lanes {
						if _, err := p.client.Submit(&fabric.Request{}); !errors.Is(err, fabric.ErrFull) {
							r.Fatalf("a request too many: %v", err)
						}
						return
					}
					next := expected{id: p.client.Submitted() + 1, size: size.Draw(r, "size"), capacity: size.Draw(r, "capacity")}
					next.lane = int(next.id % lanes)
					clear(out.memory.Bytes()[next.lane*lane : (next.lane+1)*lane])
					id, err := p.client.Submit(&fabric.Request{
						Function: p.functions["increment"],
						Input:    in.payload(next.lane*lane, next.size),
						Output:   out.payload(next.lane*lane, next.capacity),
					})
					if err != nil || id != next.id {
						r.Fatalf("invocation %d got id %d, %v", next.id, id, err)
					}
					flight = append(flight, next)
				},
				"look": func(*rapid.T) { took(p.client.Harvest(p.client.Submitted(), 0)) },
				"wait": func(*rapid.T) { finish() },
				"sleep": func(r *rapid.T) {
					for len(flight) > 0 {
						if p.client.Arm() {
							descriptor := []unix.PollFd{{Fd: int32(p.client.Descriptor()), Events: unix.POLLIN}}
							if n, err := unix.Poll(descriptor, int(patience.Milliseconds())); n == 0 || err != nil && err != unix.EINTR {
								r.Fatalf("not woken: %v", err)
							}
							p.client.Disarm()
						}
						took(p.client.Harvest(p.client.Submitted(), 0))
					}
				},
			})
			finish()
		})
	})
}
