package fabric_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/pause"
)

// Calls in Go and through C, of payloads around the size that tells them apart, follow one another on one
// ring, with an executor that spins and one that sleeps after each.
func TestNearAndFar(t *testing.T) {
	for _, hot := range []time.Duration{-1, 0} {
		p := startPeer(t, transports[0], peerOptions{slots: 4, hot: hot})
		in, out := p.region(fabric.Buffers, 64), p.region(fabric.Buffers, 64)
		for i := range 400 {
			size := []int{0, 1, 7, 8, 9, 31, 32, 33, 64}[i%9]
			fill(in.memory.Bytes(), uint64(i))
			fill(out.memory.Bytes(), uint64(i)+1000)
			behind := bytes.Clone(out.memory.Bytes()[size:])
			request := &fabric.Request{Function: p.functions["echo"], Input: in.payload(0, size), Output: out.payload(0, size)}
			id, got, response, err := p.ask(request, i%4 > 0, patience)
			check(t, err)
			if got != right || id != uint64(i)+1 || response.ID != id || response.Size != size {
				t.Fatalf("invocation %d of %d bytes ended with %s: %+v", id, size, got, response)
			}
			if !bytes.Equal(out.memory.Bytes()[:size], in.memory.Bytes()[:size]) || !bytes.Equal(out.memory.Bytes()[size:], behind) {
				t.Fatalf("%d bytes did not come back alone", size)
			}
		}
	}
}

// What ends otherwise than well says why, as through C.
func TestNearFailures(t *testing.T) {
	p := startPeer(t, transports[0], peerOptions{slots: 4, hot: -1})
	in, out := p.region(fabric.Buffers, 32), p.region(fabric.Buffers, 32)
	binary.NativeEndian.PutUint32(in.memory.Bytes(), 7)
	for _, test := range []struct {
		function string
		capacity int
		status   fabric.Status
		text     string
	}{
		{"increment", 8, fabric.StatusOutputTooSmall, ""},
		{"failing", 8, 7, "code 7 was asked for"},
		{"echo", 32, fabric.StatusOK, ""},
	} {
		request := &fabric.Request{Function: p.functions[test.function], Input: in.payload(0, 32), Output: out.payload(0, test.capacity)}
		id, _, response, err := p.ask(request, true, patience)
		check(t, err)
		if response.ID != id || response.Status != test.status || response.Text != test.text {
			t.Errorf("%s into %d bytes: %+v", test.function, test.capacity, response)
		}
	}
}

// A call that takes longer than Go looks for it is not over, and is harvested later; one for which somebody wants the
// client gives way.
func TestNearCallThatTakesLong(t *testing.T) {
	i := newImpostor(t)
	id, responses, err := i.ring.SubmitAndHarvest(&fabric.Request{}, time.Millisecond)
	if id != 1 || len(responses) > 0 || err != nil {
		t.Fatalf("%d, %v, %v", id, responses, err)
	}
	i.answer(id)
	if r, err := i.ring.Harvest(id, time.Second); err != nil || len(r) != 1 {
		t.Errorf("%v, %v", r, err)
	}
	i.ring.Want()
	within(t, "a call of a client that somebody wants", func() {
		id, responses, err = i.ring.SubmitAndHarvest(&fabric.Request{}, time.Hour)
	})
	i.ring.Unwant()
	if id != 2 || len(responses) > 0 || err != nil {
		t.Errorf("%d, %v, %v", id, responses, err)
	}
}

// What only C can take is not looked for in Go first.
func TestFarResponseIsTakenAtOnce(t *testing.T) {
	i := newImpostor(t)
	fastest, looking := time.Hour, time.Hour
	for range 1000 {
		id, err := i.ring.Submit(&fabric.Request{Output: fabric.Payload{Size: 64}})
		check(t, err)
		i.answer(id)
		began := time.Now()
		r, err := i.ring.Harvest(id, time.Second)
		fastest = min(fastest, time.Since(began))
		if err != nil || len(r) != 1 {
			t.Fatalf("%v, %v", r, err)
		}
		began = time.Now()
		pause.For(64)
		looking = min(looking, time.Since(began))
	}
	if fastest > looking {
		t.Errorf("it takes %v, and 64 pauses %v", fastest, looking)
	}
}

// An executor that answers with more than was asked for breaks its connection.
func TestNearCallOfALiar(t *testing.T) {
	i := newImpostor(t)
	for next := uint64(1); next <= 2; next++ { // before it is asked, so that it is found at once
		i.answerWith(next, 1000)
	}
	var wrong *fabric.ProtocolError
	for range 2 {
		if _, responses, err := i.ring.SubmitAndHarvest(&fabric.Request{}, time.Second); !errors.As(err, &wrong) || len(responses) > 0 {
			t.Errorf("%v, %v", responses, err)
		}
	}
}
