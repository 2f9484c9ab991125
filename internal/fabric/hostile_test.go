package fabric_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/hostile"
)

// An executor that answers otherwise than an executor of ours can neither crash its client, nor make
// it take a length that was not asked for, or another's result; it is found out where it can be.
func TestHostileResponses(t *testing.T) {
	const size = 5000
	const last = 12
	tests := []struct {
		fault fabric.Fault
		want  []outcome // of the one that is struck
	}{
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 0}, []outcome{none, protocol}},   // another's number
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 7}, []outcome{none, protocol}},   // a number far away
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 8}, []outcome{refused}},          // an error of the function's that it did not return
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 11}, []outcome{refused}},         // a status that there is not
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 18}, []outcome{protocol}},        // more than was asked for
		{fabric.Fault{Kind: fabric.Corrupt, Byte: 23}, []outcome{protocol}},        // more than there is
		{fabric.Fault{Kind: fabric.Drop}, []outcome{none, protocol}},               // none
		{fabric.Fault{Kind: fabric.Break}, []outcome{none, broken}},                // its end
		{fabric.Fault{Kind: fabric.Truncate, Byte: 4}, []outcome{none, protocol}},  // part of a number
		{fabric.Fault{Kind: fabric.Truncate, Byte: 16}, []outcome{none, protocol}}, // no size
	}
	conform(t, func(t *testing.T, transport transport) {
		for _, test := range tests {
			fault := test.fault
			fault.Response = true
			fault.Invocation = 10
			if isRing(transport) && fault.Kind == fabric.Truncate {
				continue // what is written is there
			}
			t.Run(fmt.Sprintf("%v byte %d", fault.Kind, fault.Byte), func(t *testing.T) {
				t.Parallel()
				p := startPeer(t, transport, peerOptions{slots: 4, hot: -1, hostile: &hostile.Plan{Faults: []fabric.Fault{fault}}})
				in, out := p.region(fabric.Buffers, size), p.region(fabric.Buffers, 2*size)
				behind := out.memory.Bytes()[size:]
				fill(behind, 1)
				before := bytes.Clone(behind)
				for i := uint64(1); i <= last; i++ {
					fill(in.memory.Bytes(), i) // each has a result of its own
					id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)})
					if err != nil {
						break
					}
					wait := patience
					if id >= fault.Invocation && slices.Contains(test.want, none) {
						wait = 100 * time.Millisecond
					}
					got, response := p.end(id, wait)
					if id == fault.Invocation && !slices.Contains(test.want, got) {
						t.Errorf("it ended with %s, not %v: %+v", got, test.want, response)
					}
					if id < fault.Invocation && got != right {
						t.Fatalf("invocation %d, before, ended with %s: %+v", id, got, response)
					}
					if got == right && (response.Size != size || !bytes.Equal(in.memory.Bytes(), out.memory.Bytes()[:size])) {
						t.Fatalf("invocation %d has %d bytes, or another's", id, response.Size)
					}
					if got != right && got != refused {
						break
					}
				}
				if !bytes.Equal(behind, before) {
					t.Error("bytes behind the output were written")
				}
			})
		}
	})
}

// An answer that comes twice is taken once.
func TestAnswersTwice(t *testing.T) {
	conform(t, func(t *testing.T, transport transport) {
		fault := fabric.Fault{Invocation: 5, Response: true, Kind: fabric.Duplicate}
		p := startPeer(t, transport, peerOptions{slots: 4, hot: -1, hostile: &hostile.Plan{Faults: []fabric.Fault{fault}}})
		in, out := p.region(fabric.Buffers, 8), p.region(fabric.Buffers, 8)
		for i := uint64(1); i <= 20; i++ {
			fill(in.memory.Bytes(), i)
			id, err := p.client.Submit(&fabric.Request{Function: p.functions["echo"], Input: in.payload(0, 8), Output: out.payload(0, 8)})
			got, response := protocol, fabric.Response{}
			if err == nil {
				got, response = p.end(id, patience)
			}
			if got == right && !bytes.Equal(in.memory.Bytes(), out.memory.Bytes()) {
				t.Fatalf("invocation %d has another's result: %+v", i, response)
			}
			if got == protocol && i >= fault.Invocation && !isRing(transport) {
				return // it was found out
			}
			if got != right {
				t.Fatalf("invocation %d ended with %s", i, got)
			}
		}
		if !isRing(transport) { // there, the same bytes come into the same place
			t.Error("nobody noticed")
		}
	})
}

// ask submits a request, apart from waiting for its end or together with it.
func (p *peer) ask(r *fabric.Request, together bool, wait time.Duration) (id uint64, got outcome, _ fabric.Response, err error) {
	var responses []fabric.Response
	if together {
		id, responses, err = p.client.SubmitAndHarvest(r, time.Millisecond)
	} else {
		id, err = p.client.Submit(r)
	}
	switch {
	case err != nil:
		return id, protocol, fabric.Response{}, err
	case len(responses) == 0:
		got, response := p.end(id, wait)
		return id, got, response, nil
	case responses[0].Status != fabric.StatusOK:
		return id, refused, responses[0], nil
	}
	return id, right, responses[0], nil
}

// An executor that writes whatever it can into the ring, all the time, while invocations go on.
func TestHostileRing(t *testing.T) {
	// What a client that is attacked like this must see: at least one of these.
	sees := map[string][]outcome{
		"sizes": {protocol}, "texts": {protocol}, "statuses": {refused},
		"early": {protocol, none}, "stale": {right, none}, "noise": {protocol, none},
		"flags": {right}, "doorbells": {right}, "shrink": {right},
	}
	const from = 10
	for i := range 2 * len(hostile.Attacks) {
		name, together := hostile.Attacks[i/2], i%2 == 1
		t.Run(name+map[bool]string{true: ", one call"}[together], func(t *testing.T) {
			p := startPeer(t, transports[0], peerOptions{slots: 4, hot: -1, hostile: &hostile.Plan{Ring: name, From: from}})
			in, out := p.region(fabric.Buffers, 64), p.region(fabric.Buffers, 128)
			edge := out.memory.Bytes()[32:]
			fill(edge, 1)
			before := bytes.Clone(edge)
			seen := map[outcome]int{}
			expected := func() bool {
				return slices.ContainsFunc(sees[name], func(o outcome) bool { return seen[o] > 0 })
			}
			start := time.Now()
			for {
				request := &fabric.Request{Function: p.functions["echo"], Input: in.payload(0, 32), Output: out.payload(0, 32)}
				id, got, response, err := p.ask(request, together, 2*time.Second)
				if id > 0 && id < from && got != right {
					t.Fatalf("invocation %d, before the attack, ended with %s", id, got)
				}
				seen[got]++
				if got == right && response.Size > 32 {
					t.Fatalf("invocation %d has %d bytes; 32 were asked for", id, response.Size)
				}
				if len(response.Text) > 448 {
					t.Fatalf("a text of %d bytes", len(response.Text))
				}
				if got == none || got == protocol || err != nil && !errors.Is(err, fabric.ErrFull) {
					break
				}
				if took := time.Since(start); took > 300*time.Millisecond && expected() || took > patience {
					break
				}
			}
			if !expected() {
				t.Errorf("it saw %v, and never %v", seen, sees[name])
			}
			if (name == "flags" || name == "doorbells" || name == "shrink") && len(seen) > 1 {
				t.Errorf("it saw %v, although nothing of it harms", seen)
			}
			if !bytes.Equal(edge, before) {
				t.Error("bytes behind the output were written")
			}
			// Its memory is all there still.
			for _, b := range [][]byte{in.memory.Bytes(), out.memory.Bytes()} {
				fill(b, 3)
			}
		})
	}
}
