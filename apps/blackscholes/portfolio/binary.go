package portfolio

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unsafe"
)

// The header of the binary form. All numbers are little-endian.
//
//	 0  magic       8 bytes
//	 8  version     uint32: 1
//	12  contents    uint32: 1 for options, 2 for prices
//	16  precision   uint32: bytes of a number, 4 or 8
//	20  reference   uint32: 1 if reference prices follow the options, else 0
//	24  count       uint64: of options or prices
//	32  checksum    uint64: of what follows, but for the reference prices
//	40  checksum    uint64: of the reference prices
//	48  zeros       12 bytes
//	60  checksum    uint32: CRC-32C of the 60 bytes in front of it
//
// Options follow as blocks of [Lanes], as [Block] has them; the last is padded. Behind them are the
// reference prices, if any, as float32, as many as there are places in the blocks. Prices are in
// order, without padding.
const (
	magic      = "\x89BSO\r\n\x1a\n" // is no text, and tells if a transfer has changed line ends
	headerSize = 64
	version    = 1
)

const (
	holdsOptions = 1
	holdsPrices  = 2
)

// header is the header of a binary file.
type header struct {
	contents  uint32
	precision int64
	reference bool
	count     int64
	checksum  uint64 // of options or prices
	column    uint64 // checksum of the reference prices
}

func (h *header) encode() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, h.contents)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.precision))
	b = binary.LittleEndian.AppendUint32(b, map[bool]uint32{true: 1}[h.reference])
	b = binary.LittleEndian.AppendUint64(b, uint64(h.count))
	b = binary.LittleEndian.AppendUint64(b, h.checksum)
	b = binary.LittleEndian.AppendUint64(b, h.column)
	b = b[:headerSize]
	seal(b)
	return b
}

// seal sets the checksum of a header.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
}

// decode reads a header that begins with the magic, and says what is wrong with it.
func (h *header) decode(b []byte, contents uint32) string {
	if len(b) < headerSize {
		return fmt.Sprintf("the file ends after %d of the %d bytes of a binary file's header", len(b), headerSize)
	}
	number := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	*h = header{
		contents:  number(12),
		precision: int64(number(16)),
		reference: number(20) == 1,
		count:     int64(binary.LittleEndian.Uint64(b[24:])),
		checksum:  binary.LittleEndian.Uint64(b[32:]),
		column:    binary.LittleEndian.Uint64(b[40:]),
	}
	what := map[uint32]string{holdsOptions: "options", holdsPrices: "prices"}
	switch {
	case number(8) != version:
		return fmt.Sprintf("the binary file is of version %d: this program reads version %d", number(8), version)
	case number(60) != crc32.Checksum(b[:headerSize-4], castagnoli):
		return "the binary file's header is damaged: its checksum is another"
	case h.contents != contents && what[h.contents] != "":
		return fmt.Sprintf("the binary file has %s: one with %s is expected", what[h.contents], what[contents])
	case h.contents != contents, h.precision != 4 && h.precision != 8, number(20) > 1, h.reference && contents != holdsOptions:
		return fmt.Sprintf("the binary file's header is wrong: contents %d, precision %d, reference %d", h.contents, number(16), number(20))
	case h.count < 0 || h.count > maxCount:
		return fmt.Sprintf("the binary file's header is wrong: it says that there are %d", uint64(h.count))
	}
	return ""
}

// maxCount is more than any file has; what is computed from it does not overflow.
const maxCount = 1 << 50

// blocks is how many blocks follow.
func (h *header) blocks() int64 { return (h.count + Lanes - 1) / Lanes }

// blockSize is the size of a block, in bytes.
func (h *header) blockSize() int64 { return Lanes * (5*h.precision + 4) }

// column is where the reference prices begin.
func (h *header) columnAt() int64 { return headerSize + h.blocks()*h.blockSize() }

// size is how long the file is.
func (h *header) size() int64 {
	switch {
	case h.contents == holdsPrices:
		return headerSize + h.count*h.precision
	case h.reference:
		return h.columnAt() + h.blocks()*Lanes*4
	}
	return h.columnAt()
}

// bytesOf are the bytes of values in memory, which on a little-endian machine are those in a file.
func bytesOf[V any](values []V) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(values[0])))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of consecutive pieces of a column, the first of which is piece number first. It is
// a sum over the pieces, so that it can be computed in parts and in any order: of each, its CRC-32C
// and its number, mixed.
func checksum[V any](values []V, each int, first int64) uint64 {
	var sum uint64
	all := bytesOf(values)
	size := each * int(unsafe.Sizeof(*new(V)))
	for at := 0; at < len(all); at += size {
		sum += mix(uint64(crc32.Checksum(all[at:at+size], castagnoli)) ^ uint64(first)<<32)
		first++
	}
	return sum
}

// mix turns a number into one that looks random: the finalizer of SplitMix64 (Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
