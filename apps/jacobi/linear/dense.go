package linear

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

const denseMagic = 0x49424f43414a0001 // kernel/jacobi.c compares it

// Dense is rows with all of their coefficients.
type Dense struct {
	Stride int       // numbers from one row to the next: the system's size rounded up to 8
	Values []float64 // row after row; what lies behind the system's size is 0
}

// Row is row i of the block.
func (d *Dense) Row(i int) []float64 { return d.Values[i*d.Stride : (i+1)*d.Stride] }

// DenseBytes is the size of a block of so many dense rows of a system of n unknowns.
func DenseBytes(n, rows int) int { return (headerWords + 2*padded(rows) + rows*Stride(n)) * wordBytes }

func layDense(n, first, rows int, words []float64) *Block {
	stride := Stride(n)
	b, rest := start(header{denseMagic, uint64(n), uint64(stride), uint64(first), uint64(rows), 0}, words)
	b.Matrix = &Dense{stride, rest[: rows*stride : rows*stride]}
	return b
}

// NewDense allocates a block of zeroes for the rows lo to hi-1 of a system of n unknowns.
func NewDense(n, lo, hi int) *Block {
	return layDense(n, lo, hi-lo, make([]float64, DenseBytes(n, hi-lo)/wordBytes))
}

// CopyRows copies the system's rows lo to hi-1 from another block. Both are dense and have them.
func (b *Block) CopyRows(from *Block, lo, hi int) {
	here, there := lo-b.First, lo-from.First
	rows := hi - lo
	copy(b.RHS[here:here+rows], from.RHS[there:there+rows])
	copy(b.Diagonal[here:here+rows], from.Diagonal[there:there+rows])
	to, source := b.Matrix.(*Dense), from.Matrix.(*Dense)
	copy(to.Values[here*to.Stride:(here+rows)*to.Stride], source.Values[there*source.Stride:(there+rows)*source.Stride])
}

func (d *Dense) bytes(n, first, last int) int { return DenseBytes(n, last-first) }

func (d *Dense) lay(n, lo, first, last int, words []float64) *Block {
	b := layDense(n, lo, last-first, words)
	copy(b.Matrix.(*Dense).Values, d.Values[first*d.Stride:last*d.Stride])
	return b
}

func (d *Dense) subtract(out, x []float64, first, last int) {
	blas64.Gemv(blas.NoTrans,
		-1, blas64.General{Rows: last - first, Cols: d.Stride, Stride: d.Stride, Data: d.Values[first*d.Stride : last*d.Stride]},
		blas64.Vector{N: d.Stride, Inc: 1, Data: x[:d.Stride]},
		1, blas64.Vector{N: last - first, Inc: 1, Data: out})
}
