package linear

import "unsafe"

const sparseMagic = 0x49424f43414a0002 // kernel/sparse.c compares it

// Sparse is rows of which only some coefficients are stored: those of row i of the block are the
// ones from Starts[i] up to Starts[i+1].
type Sparse struct {
	Starts  []int64 // one more than rows
	Columns []int32
	Values  []float64
}

// SparseBytes is the size of a block of so many sparse rows with so many coefficients.
func SparseBytes(rows, entries int) int {
	return (headerWords + 2*padded(rows) + padded(rows+1) + padded(entries) + padded(columnWords(entries))) * wordBytes
}

// columnWords is the room that columns take: two of them in a word.
func columnWords(entries int) int { return (entries + 1) / 2 }

func laySparse(n, first, rows, entries int, words []float64) *Block {
	b, rest := start(header{sparseMagic, uint64(n), uint64(Stride(n)), uint64(first), uint64(rows), uint64(entries)}, words)
	s := &Sparse{}
	starts, rest := cut(rest, rows+1)
	s.Starts = unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(starts))), len(starts))
	s.Values, rest = cut(rest, entries)
	columns, _ := cut(rest, columnWords(entries))
	s.Columns = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(columns))), entries)
	b.Matrix = s
	return b
}

// NewSparse allocates a block of zeroes for the rows lo to hi-1 of a system of n unknowns, with
// room for so many coefficients.
func NewSparse(n, lo, hi, entries int) *Block {
	return laySparse(n, lo, hi-lo, entries, make([]float64, SparseBytes(hi-lo, entries)/wordBytes))
}

func (s *Sparse) bytes(_, first, last int) int {
	return SparseBytes(last-first, int(s.Starts[last]-s.Starts[first]))
}

func (s *Sparse) lay(n, lo, first, last int, words []float64) *Block {
	begin, end := s.Starts[first], s.Starts[last]
	b := laySparse(n, lo, last-first, int(end-begin), words)
	part := b.Matrix.(*Sparse)
	for i := range part.Starts {
		part.Starts[i] = s.Starts[first+i] - begin
	}
	copy(part.Columns, s.Columns[begin:end])
	copy(part.Values, s.Values[begin:end])
	return b
}

// subtract adds even and odd coefficients up apart, as kernel/sparse.c does.
func (s *Sparse) subtract(out, x []float64, first, last int) {
	for i := range out[:last-first] {
		begin, end := s.Starts[first+i], s.Starts[first+i+1]
		columns, values := s.Columns[begin:end], s.Values[begin:end]
		even, odd := 0.0, 0.0
		for len(values) >= 2 && len(columns) >= 2 {
			even += values[0] * x[columns[0]]
			odd += values[1] * x[columns[1]]
			columns, values = columns[2:], values[2:]
		}
		if len(values) == 1 {
			even += values[0] * x[columns[0]]
		}
		out[i] -= even + odd
	}
}
