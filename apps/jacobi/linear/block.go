package linear

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// Block is some consecutive rows of a system, in memory.
type Block struct {
	N        int       // unknowns of the system
	First    int       // index of the first row
	Rows     int       // number of rows
	RHS      []float64 // of each row
	Diagonal []float64 // of each row
	// Matrix is the coefficients of the rows, a [*Dense] or a [*Sparse].
	Matrix Coefficients

	words []float64 // all of it
}

// Coefficients are the rows of a block's matrix.
type Coefficients interface {
	// subtract subtracts the products of x and the rows first to last-1 from out.
	subtract(out, x []float64, first, last int)
	// bytes is the size of a block of the rows first to last-1, of n unknowns.
	bytes(n, first, last int) int
	// lay lays out a block of those rows and copies the coefficients.
	lay(n, lo, first, last int, words []float64) *Block
}

const (
	headerWords = 8
	wordBytes   = 8
	align       = 8 // words that parts are rounded up to: a cache line of them
)

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

// Stride is the length of a vector that a sweep reads, for n unknowns: n rounded up to 8.
func Stride(n int) int { return padded(n) }

// header is what a block begins with; kernel/block.h has the same.
type header struct{ magic, n, stride, first, rows, entries uint64 }

// start writes the header and cuts off what all blocks have.
func start(h header, words []float64) (b *Block, rest []float64) {
	*(*header)(unsafe.Pointer(unsafe.SliceData(words))) = h
	b = &Block{N: int(h.n), First: int(h.first), Rows: int(h.rows), words: words}
	rest = words[headerWords:]
	b.RHS, rest = cut(rest, b.Rows)
	b.Diagonal, rest = cut(rest, b.Rows)
	return b, rest
}

// cut takes n numbers and their padding off words.
func cut(words []float64, n int) (part, rest []float64) { return words[:n:n], words[padded(n):] }

// Open returns the block that somebody else has laid out in memory that starts on a multiple of 8.
func Open(memory []byte) (*Block, error) {
	words, err := wordsOf(memory)
	if err != nil {
		return nil, err
	}
	if len(words) < headerWords {
		return nil, errors.New("linear: this is no block of rows")
	}
	h := *(*header)(unsafe.Pointer(unsafe.SliceData(words)))
	const most = math.MaxInt32
	if h.n > most || h.rows > h.n || h.first > h.n-h.rows || h.entries > math.MaxInt64/64 || h.stride != uint64(Stride(int(h.n))) {
		return nil, errors.New("linear: this is no block of rows")
	}
	n, first, rows, entries := int(h.n), int(h.first), int(h.rows), int(h.entries)
	switch {
	case h.magic == denseMagic && len(memory) == DenseBytes(n, rows):
		return layDense(n, first, rows, words), nil
	case h.magic == sparseMagic && len(memory) == SparseBytes(rows, entries):
		return laySparse(n, first, rows, entries, words), nil
	}
	return nil, errors.New("linear: this is no block of rows, or not the whole of one")
}

// Memory is the whole block, to be given away.
func (b *Block) Memory() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b.words))), len(b.words)*wordBytes)
}

// Bytes is the size of a block of the system's rows lo to hi-1, which must be this block's.
func (b *Block) Bytes(lo, hi int) int { return b.Matrix.bytes(b.N, lo-b.First, hi-b.First) }

// Copy makes a block of the system's rows lo to hi-1, which must be this block's, in memory of
// Bytes(lo, hi) zeroes that start on a multiple of 8.
func (b *Block) Copy(lo, hi int, memory []byte) (*Block, error) {
	words, err := wordsOf(memory)
	if err != nil {
		return nil, err
	}
	if needed := b.Bytes(lo, hi); len(memory) != needed {
		return nil, fmt.Errorf("linear: %d bytes for a block of %d rows, which needs %d", len(memory), hi-lo, needed)
	}
	first, last := lo-b.First, hi-b.First
	part := b.Matrix.lay(b.N, lo, first, last, words)
	copy(part.RHS, b.RHS[first:last])
	copy(part.Diagonal, b.Diagonal[first:last])
	return part, nil
}

// Weights are the numbers of coefficients that each of a block's rows has.
func (b *Block) Weights() []int {
	weights := make([]int, b.Rows)
	for i := range weights {
		weights[i] = b.N
		if sparse, ok := b.Matrix.(*Sparse); ok {
			weights[i] = int(sparse.Starts[i+1] - sparse.Starts[i])
		}
	}
	return weights
}

// Memory allocates zeroes for a block of so many bytes.
func Memory(bytes int) []byte {
	words := make([]float64, bytes/wordBytes)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*wordBytes)
}

// wordsOf is memory as numbers.
func wordsOf(memory []byte) ([]float64, error) {
	start := unsafe.Pointer(unsafe.SliceData(memory))
	if len(memory)%wordBytes != 0 || uintptr(start)%wordBytes != 0 {
		return nil, fmt.Errorf("linear: a block in %d bytes at %p: both are to be multiples of %d", len(memory), start, wordBytes)
	}
	return unsafe.Slice((*float64)(start), len(memory)/wordBytes), nil
}
