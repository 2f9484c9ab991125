package linear

import "math"

// Sweep does one iteration of the Jacobi method for the system's rows lo to hi-1, which must be
// among the block's: next[i] = x[i] + (b[i] - A[i]·x) / A[i][i]. It reads all of x and writes
// next[lo:hi] alone; both vectors have the system's stride.
func (b *Block) Sweep(next, x []float64, lo, hi int) {
	if lo == hi {
		return
	}
	first, last := lo-b.First, hi-b.First
	out := next[lo:hi]
	copy(out, b.RHS[first:last])
	b.Matrix.subtract(out, x, first, last)
	for i, diagonal := range b.Diagonal[first:last] {
		out[i] = x[lo+i] + out[i]/diagonal
	}
}

// Residual is max|b-Ax| over the block's rows.
func (b *Block) Residual(x []float64) float64 {
	if b.Rows == 0 {
		return 0
	}
	rest := append([]float64(nil), b.RHS...)
	b.Matrix.subtract(rest, x, 0, b.Rows)
	return MaxAbs(rest)
}

// Step returns the largest residual of x among the rows from first on, as a sweep from x to next
// has left it behind: diagonal·(next-x) is b-Ax. It costs no look at the matrix. What is not a
// number counts as infinite.
func Step(next, x []float64, first int, diagonal []float64) float64 {
	largest := 0.0
	next, x = next[first:first+len(diagonal)], x[first:first+len(diagonal)]
	for i, d := range diagonal {
		// Cheaper than math.Max: this is work that no executor shares.
		residual := math.Abs(d * (next[i] - x[i]))
		if residual > largest {
			largest = residual
		} else if math.IsNaN(residual) {
			return math.Inf(1)
		}
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
