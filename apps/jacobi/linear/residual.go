package linear

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// Residual returns max|b-Ax| over the system's rows lo to hi-1. It generates the rows anew: what it
// says holds for the system itself, not for a copy that somebody worked on.
func (s System) Residual(x []float64, lo, hi int) float64 {
	row := make([]float64, s.N)
	vector := blas64.Vector{N: s.N, Inc: 1, Data: x[:s.N]}
	largest := 0.0
	for i := lo; i < hi; i++ {
		_, rhs := s.Row(i, row)
		product := blas64.Dot(blas64.Vector{N: s.N, Inc: 1, Data: row}, vector)
		largest = math.Max(largest, math.Abs(rhs-product))
	}
	if math.IsNaN(largest) {
		return math.Inf(1)
	}
	return largest
}
