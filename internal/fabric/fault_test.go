package fabric_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// What an invocation that met a fault may end with.
type outcome string

const (
	right    outcome = "right"    // success, with the right bytes
	refused  outcome = "refused"  // by the executor, in a response
	none     outcome = "none"     // no answer
	protocol outcome = "protocol" // the executor broke the protocol
	broken   outcome = "broken"   // the connection ended
)

// isSends and isRing tell transports apart where a fault looks different.
func isSends(t transport) bool { return t.path == fabric.OFISend }
func isRing(t transport) bool  { return t.path == "" }

// end waits for one invocation, at most that long, and says how it ended.
func (p *peer) end(id uint64, wait time.Duration) (outcome, fabric.Response) {
	p.t.Helper()
	for deadline := time.Now().Add(wait); ; {
		responses, err := p.client.Harvest(id, 5*time.Millisecond)
		for _, r := range responses {
			if r.ID == id && r.Status == fabric.StatusOK {
				return right, r
			} else if r.ID == id {
				return refused, r
			}
		}
		var wrong *fabric.ProtocolError
		switch {
		case errors.As(err, &wrong):
			return protocol, fabric.Response{}
		case err != nil:
			return broken, fabric.Response{}
		case time.Now().After(deadline):
			return none, fabric.Response{}
		}
	}
}

// withFaults starts an executor whose client has faults.
func withFaults(t *testing.T, transport transport, faults ...fabric.Fault) *peer {
	t.Helper()
	p := startPeer(t, transport, peerOptions{slots: 8, hot: -1})
	check(t, p.client.Inject(faults))
	return p
}

// Every fault on the way has the ending that is written here, whatever the transport, and none of
// them the wrong bytes.
func TestFaultsOnTheWay(t *testing.T) {
	const third = 3 // the invocation that is struck
	type expected func(transport) []outcome
	always := func(outcomes ...outcome) expected { return func(transport) []outcome { return outcomes } }
	tests := []struct {
		fault fabric.Fault
		want  expected
	}{
		{fabric.Fault{Kind: fabric.Drop}, always(none)},
		{fabric.Fault{Kind: fabric.Delay, For: 50 * time.Millisecond}, always(right)},
		{fabric.Fault{Kind: fabric.Duplicate}, func(t transport) []outcome {
			// An executor that gets a message twice ends, which not all endpoints notice.
			if isRing(t) {
				return []outcome{right}
			}
			return []outcome{right, broken, none}
		}},
		{fabric.Fault{Kind: fabric.Break}, always(broken)},
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 0}, always(none, broken)},     // id
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 5}, always(none, broken)},     // id
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 10}, always(refused)},         // function
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 23}, always(refused, broken)}, // size of the input
		{fabric.Fault{Response: true, Kind: fabric.Drop}, always(none)},
		{fabric.Fault{Response: true, Kind: fabric.Delay, For: 50 * time.Millisecond}, always(right)},
		{fabric.Fault{Response: true, Kind: fabric.Duplicate}, always(right)},
		{fabric.Fault{Response: true, Kind: fabric.Break}, always(broken)},
		{fabric.Fault{Response: true, Kind: fabric.Corrupt, Byte: 0}, func(t transport) []outcome {
			switch {
			case isRing(t):
				return []outcome{none}
			case isSends(t): // the number was read when the message came
				return []outcome{right}
			}
			return []outcome{protocol}
		}},
		{fabric.Fault{Response: true, Kind: fabric.Corrupt, Byte: 8}, always(refused)},   // status
		{fabric.Fault{Response: true, Kind: fabric.Corrupt, Byte: 23}, always(protocol)}, // size
		{fabric.Fault{Response: true, Kind: fabric.Corrupt, Byte: 19}, always(protocol)}, // size
	}
	sizes := []int{8, 5000, 200_000}
	conform(t, func(t *testing.T, transport transport) {
		for i, test := range tests {
			size := sizes[(i+len(transport.name))%len(sizes)] // each kind of payload meets each fault somewhere
			fault := test.fault
			fault.Invocation = third
			t.Run(fmt.Sprintf("%d bytes, %v byte %d, response %v", size, fault.Kind, fault.Byte, fault.Response), func(t *testing.T) {
				t.Parallel() // most of it is the starting and ending of processes
				p := withFaults(t, transport, fault)
				in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size+64)
				fill(in.memory.Bytes()[:size], uint64(size))
				for range third - 1 {
					if r := p.invoke("echo", in.payload(0, size), out.payload(0, size)); r.Status != fabric.StatusOK {
						t.Fatalf("before the fault: %+v", r)
					}
				}
				clear(out.memory.Bytes())
				id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
				got, response := broken, fabric.Response{}
				if err == nil {
					wait := patience
					if slices.Contains(test.want(transport), none) {
						wait = 100 * time.Millisecond
					}
					got, response = p.end(id, wait)
				}
				if !slices.Contains(test.want(transport), got) {
					t.Errorf("it ended with %s, not %v: %+v", got, test.want(transport), response)
				}
				if got == right && (response.Size != size || !bytes.Equal(in.memory.Bytes()[:size], out.memory.Bytes()[:size])) {
					t.Errorf("%d bytes came back, or wrong ones", response.Size)
				}
				if !bytes.Equal(out.memory.Bytes()[size:size+64], make([]byte, 64)) {
					t.Error("bytes behind the output were written")
				}
				if p.client.Struck() != 1 {
					t.Errorf("%d faults happened", p.client.Struck())
				}
			})
		}
	})
}

// What a late message is behind of is late too, and all of them come in the end.
func TestDelayKeepsTheOrder(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		p := withFaults(t, transport,
			fabric.Fault{Invocation: 2, Kind: fabric.Delay, For: 30 * time.Millisecond},
			fabric.Fault{Invocation: 4, Response: true, Kind: fabric.Delay, For: 30 * time.Millisecond})
		in, out := p.region(fabric.Buffers, 64), p.region(fabric.Buffers, 64)
		for i := range 6 {
			fill(in.memory.Bytes()[8*i:8*i+8], uint64(i))
			_, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(8*i, 8), Output: out.payload(8*i, 8)})
			check(t, err)
		}
		p.wait(6)
		if !bytes.Equal(in.memory.Bytes()[:48], out.memory.Bytes()[:48]) || p.client.Struck() != 2 {
			t.Errorf("wrong bytes, or %d faults", p.client.Struck())
		}
	})
}

// A message that is cut is not filled up with what an earlier one has left in its place.
func TestCutMessages(t *testing.T) {
	const size = 5000
	for _, transport := range []transport{sends, shmSends} {
		t.Run(transport.name, func(t *testing.T) {
			for _, left := range []int{0, 16, 64, 65, size + 63} {
				p := withFaults(t, transport, fabric.Fault{Invocation: 9, Response: true, Kind: fabric.Truncate, Byte: left})
				in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, size)
				for range 8 { // each slot has held another's result
					p.invoke("echo", in.payload(0, size), out.payload(0, size))
				}
				id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
				check(t, err)
				if got, r := p.end(id, patience); got != protocol {
					t.Errorf("%d bytes left of a response: %s, %+v", left, got, r)
				}
			}
		})
	}
}

// Faults come before the first invocation, and once.
func TestInjectTwice(t *testing.T) {
	p := withFaults(t, transports[0], fabric.Fault{Invocation: 1, Kind: fabric.Delay})
	if p.client.Inject([]fabric.Fault{{Invocation: 2, Kind: fabric.Drop}}) == nil {
		t.Error("faults were injected twice")
	}
	q := startPeer(t, transports[0], peerOptions{slots: 8, hot: -1})
	q.invoke("echo", fabric.Payload{}, fabric.Payload{})
	if q.client.Inject([]fabric.Fault{{Invocation: 2, Kind: fabric.Drop}}) == nil {
		t.Error("faults were injected after an invocation")
	}
}
