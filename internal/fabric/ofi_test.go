package fabric_test

import (
	"bytes"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

func (p *peer) connect(name, nonce []byte, slots int) (*fabric.Client, error) {
	return fabric.ConnectOFI(fabric.OFIOptions{Provider: "tcp", Name: name, Nonce: nonce, Slots: slots, Timeout: patience})
}

// libfabric runs a test over each transport and provider of libfabric's.
func libfabric(t *testing.T, test func(t *testing.T, transport transport)) {
	t.Helper()
	overEach(t, overFabric, test)
}

// connected runs it over those whose endpoints connect, and so tell of each other's end.
func connected(t *testing.T, test func(t *testing.T, transport transport)) {
	t.Helper()
	overEach(t, withEvents, test)
}

// What lies in no region, or in one that the executor does not have, is refused by the executor,
// and the connection goes on.
func TestMemoryInNoRegion(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		in, out := p.region(fabric.Buffers, 1<<20), p.region(fabric.Buffers, 1<<20)
		stray := func(payload fabric.Payload, region uint32, offset uint64) fabric.Payload {
			payload.Region, payload.Offset = region, offset
			return payload
		}
		large, small := in.payload(0, 100_000), in.payload(0, 60_000)
		for name, test := range map[string]struct {
			in, out fabric.Payload
			want    fabric.Status
		}{
			"large input in none":       {stray(large, 0, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input in unknown":    {stray(large, 99, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input in impossible": {stray(large, 1<<31, 0), out.payload(0, 100_000), fabric.StatusBadReference},
			"large input past the end":  {stray(large, in.id, 1<<20-10), out.payload(0, 100_000), fabric.StatusBadReference},
			"large output in none":      {large, stray(out.payload(0, 100_000), 0, 0), fabric.StatusBadReference},
			"large output wraps":        {large, stray(out.payload(0, 100_000), out.id, ^uint64(0)-10), fabric.StatusBadReference},
			"small input in none":       {stray(small, 0, 0), out.payload(0, 60_000), fabric.StatusOK},
			"small output in none":      {small, stray(out.payload(0, 60_000), 0, 0), fabric.StatusOK},
		} {
			fill(in.memory.Bytes(), 3)
			clear(out.memory.Bytes())
			response := p.invoke("echo", test.in, test.out)
			if response.Status != test.want {
				t.Errorf("%s: status %d, %q", name, response.Status, response.Text)
			}
			if test.want == fabric.StatusOK && !bytes.Equal(in.memory.Bytes()[:60_000], out.memory.Bytes()[:60_000]) {
				t.Errorf("%s: wrong output", name)
			}
		}
	})
}

// Both directions full at once, far above what sockets buffer.
func TestLargePipelines(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
		const size, total = 3<<20 + 1, 40
		in, out := p.region(fabric.Buffers, 8*size), p.region(fabric.Buffers, 8*size)
		fill(in.memory.Bytes(), 5)
		submitted, harvested := 0, 0
		for harvested < total {
			for submitted < total && submitted-harvested < 8 {
				at := submitted % 8 * size
				clear(out.memory.Bytes()[at : at+size])
				_, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(at, size), Output: out.payload(at, size)})
				check(t, err)
				submitted++
			}
			for _, response := range p.wait(uint64(harvested + 1)) {
				at := harvested % 8 * size
				harvested++
				if response.Size != size || !bytes.Equal(in.memory.Bytes()[at:at+size], out.memory.Bytes()[at:at+size]) {
					t.Fatalf("response %d: wrong output", harvested)
				}
			}
		}
	})
}

// Regions come and go while the loop spins; a constant may go as soon as it has been pushed.
func TestRegionsComeAndGo(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
		buffer := p.region(fabric.Buffers, 16)
		memory, err := fabric.NewMemory(fabric.Constants, 300_000)
		check(t, err)
		defer memory.Close()
		defer p.client.Close()
		r := region{id: 100, memory: memory}
		for range 200 {
			p.mapRegion(r, true)
			check(t, p.client.Push(r.id))
			check(t, p.client.Detach(r.id))
			p.call(control.TypeUnmap, control.Unmap{Region: r.id}, &control.Unmap{})
		}
		p.invoke("echo", buffer.payload(0, 8), buffer.payload(8, 8))
		if _, err := p.client.Attach(0, memory); err == nil {
			t.Error("region 0 was attached")
		}
		if err := p.client.Push(r.id); err == nil {
			t.Error("a region that was detached was pushed")
		}
		_, err = p.client.Attach(r.id, memory)
		check(t, err)
		if _, err := p.client.Attach(r.id, memory); err == nil {
			t.Error("a region was attached twice")
		}
	})
}
