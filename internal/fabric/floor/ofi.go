package floor

// #include <string.h>
// #include "floor.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// CardSize is the size of a card: what an end tells the other before they meet.
const CardSize = C.sizeof_struct_floor_ofi_card

// Card is the input of OpenOFI: the executor's end is to be opened at an address of its node
// (empty: any). provider is libfabric's name; sends: by messages instead of writes; window is how many
// payloads of size bytes are in flight at most, 0 for one.
func Card(provider, host string, sends bool, size, window int) []byte {
	card := make([]byte, CardSize)
	c := (*C.struct_floor_ofi_card)(unsafe.Pointer(&card[0]))
	c.size, c.window = C.uint64_t(size), C.uint64_t(window)
	if sends {
		c.sends = 1
	}
	put := func(to []C.char, text string) {
		for i := range min(len(text), len(to)-1) {
			to[i] = C.char(text[i])
		}
	}
	put(c.provider[:], provider)
	put(c.host[:], host)
	return card
}

// OFI is the rank's end of a raw connection over libfabric.
type OFI struct {
	end  *C.struct_floor_ofi
	card []byte
	peer []byte
	room *room
	met  bool
}

// NewOFI opens an end for an executor's, whose card OpenOFI gave.
func NewOFI(peer []byte, count int) (*OFI, error) {
	if len(peer) != CardSize {
		return nil, errors.New("floor: this is no card")
	}
	p := (*C.struct_floor_ofi_card)(unsafe.Pointer(&peer[0]))
	room, err := newRoom(int(p.size), count)
	if err != nil {
		return nil, err
	}
	o := &OFI{card: make([]byte, CardSize), peer: peer, room: room}
	card := (*C.struct_floor_ofi_card)(unsafe.Pointer(&o.card[0]))
	card.sends, card.size, card.window, card.provider = p.sends, p.size, p.window, p.provider
	if o.end = C.floor_ofi_open(card, 0, p, room.text); o.end == nil {
		err := room.failure()
		room.free()
		return nil, err
	}
	return o, nil
}

// Call is the input of ServeOFI for the next block.
func (o *OFI) Call(b *Block) []byte {
	touch := uint32(0)
	if b.Touch {
		touch = 1
	}
	return binary.NativeEndian.AppendUint32(append([]byte(nil), o.card...), touch)
}

// Run does a block with an executor that was called with Call, and ends that call. It appends each
// operation's nanoseconds to samples.
func (o *OFI) Run(b *Block, samples []int64) ([]int64, error) {
	block, err := o.room.block(b)
	if err != nil {
		return samples, err
	}
	if !o.met {
		if C.floor_ofi_meet(o.end, (*C.struct_floor_ofi_card)(unsafe.Pointer(&o.peer[0])), o.room.text) < 0 {
			return samples, o.room.failure()
		}
		o.met = true
	}
	if C.floor_ofi_run(o.end, &block) < 0 {
		return samples, o.room.failure()
	}
	return o.room.collect(b, samples)
}

// Close closes the rank's end.
func (o *OFI) Close() {
	C.floor_ofi_close(o.end)
	o.room.free()
}
