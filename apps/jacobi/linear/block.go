package linear

import (
	"fmt"
	"unsafe"
)

// Block is some consecutive rows of a system, in memory.
type Block struct {
	System   System
	First    int       // index of the first row
	Rows     int       // number of rows
	RHS      []float64 // of each row
	Diagonal []float64 // of each row
	Matrix   []float64 // Rows × Stride
}

const (
	magic       = 0x49424f43414a0001 // kernel/jacobi.c compares it
	headerWords = 8
	wordBytes   = 8
)

// BlockBytes is the size of a block of some rows in memory.
func (s System) BlockBytes(rows int) int {
	return (headerWords + 2*padded(rows) + rows*s.Stride()) * wordBytes
}

// NewBlock generates the rows lo to hi-1.
func NewBlock(s System, lo, hi int) *Block {
	words := make([]float64, s.BlockBytes(hi-lo)/wordBytes)
	return generate(s, lo, hi, words)
}

// PlaceBlock generates the rows lo to hi-1 into memory of BlockBytes(hi-lo) zeroes that start on
// a multiple of 8.
func PlaceBlock(s System, lo, hi int, memory []byte) (*Block, error) {
	start := unsafe.Pointer(unsafe.SliceData(memory))
	if len(memory) != s.BlockBytes(hi-lo) || uintptr(start)%wordBytes != 0 {
		return nil, fmt.Errorf("linear: %d bytes at %p can not hold %d rows of a system of %d: %d aligned bytes can",
			len(memory), start, hi-lo, s.N, s.BlockBytes(hi-lo))
	}
	return generate(s, lo, hi, unsafe.Slice((*float64)(start), len(memory)/wordBytes)), nil
}

func generate(s System, lo, hi int, words []float64) *Block {
	rows, stride := hi-lo, s.Stride()
	header := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(words))), headerWords)
	copy(header, []uint64{magic, uint64(s.N), uint64(stride), uint64(lo), uint64(rows)})

	b := &Block{System: s, First: lo, Rows: rows}
	words = words[headerWords:]
	b.RHS, words = words[:rows:rows], words[padded(rows):]
	b.Diagonal, b.Matrix = words[:rows:rows], words[padded(rows):]
	for i := range rows {
		b.Diagonal[i], b.RHS[i] = s.Row(lo+i, b.Matrix[i*stride:(i+1)*stride])
	}
	return b
}
