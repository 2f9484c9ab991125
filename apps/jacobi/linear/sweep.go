package linear

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// Sweep does one iteration of the Jacobi method for the system's rows lo to hi-1, which must be
// the block's: next[i] = x[i] + (b[i] - A[i]·x) / A[i][i]. It reads all of x and writes next[lo:hi]
// alone; both vectors have the system's stride.
func (b *Block) Sweep(next, x []float64, lo, hi int) {
	if lo == hi {
		return
	}
	stride := b.System.Stride()
	first, last := lo-b.First, hi-b.First
	out := next[lo:hi]
	copy(out, b.RHS[first:last])
	blas64.Gemv(blas.NoTrans,
		-1, blas64.General{Rows: last - first, Cols: stride, Stride: stride, Data: b.Matrix[first*stride : last*stride]},
		blas64.Vector{N: stride, Inc: 1, Data: x[:stride]},
		1, blas64.Vector{N: last - first, Inc: 1, Data: out})
	for i, diagonal := range b.Diagonal[first:last] {
		out[i] = x[lo+i] + out[i]/diagonal
	}
}

// Step returns the largest residual of x among the rows from first on, as a sweep from x to next
// has left it behind: diagonal·(next-x) is b-Ax. It costs no look at the matrix. What is not a
// number counts as infinite.
func Step(next, x []float64, first int, diagonal []float64) float64 {
	largest := 0.0
	for i, d := range diagonal {
		largest = math.Max(largest, math.Abs(d*(next[first+i]-x[first+i])))
	}
	if math.IsNaN(largest) {
		return math.Inf(1)
	}
	return largest
}

// MaxAbs is the largest absolute value in v, infinite if one is not a number, and 0 for none.
func MaxAbs(v []float64) float64 {
	largest := 0.0
	for _, value := range v {
		largest = math.Max(largest, math.Abs(value))
	}
	if math.IsNaN(largest) {
		return math.Inf(1)
	}
	return largest
}
