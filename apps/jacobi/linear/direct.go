package linear

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Solution is a system's solution as a direct method finds it.
type Solution struct {
	X []float64
	// Condition is LAPACK's estimate of the matrix's condition in the maximum norm: how much of
	// a relative residual can be error in x.
	Condition float64
}

// Direct solves a system of n unknowns by gonum's LU decomposition, in about 2/3·n³ operations and
// 8·n² bytes. row writes the coefficients of a row over zeroes and returns its right-hand side.
func Direct(n int, row func(i int, row []float64) (rhs float64)) (Solution, error) {
	a := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	x := make([]float64, n)
	for i := range n {
		x[i] = row(i, a.Data[i*n:(i+1)*n])
	}
	norm := lapack64.Lange(lapack.MaxRowSum, a, nil)
	pivots := make([]int, n)
	if !lapack64.Getrf(a, pivots) {
		return Solution{}, errors.New("the system is singular: it has no direct solution to compare with")
	}
	reciprocal := lapack64.Gecon(lapack.MaxRowSum, a, norm, make([]float64, 4*n), make([]int, n))
	lapack64.Getrs(blas.NoTrans, a, blas64.General{Rows: n, Cols: 1, Stride: 1, Data: x}, pivots)
	return Solution{X: x, Condition: 1 / reciprocal}, nil
}

// Check compares a vector, whose residual should be at most tolerance, with the solution. It
// returns their Distance and whether that is what such a residual allows for: the condition times
// the tolerance, doubled because the condition is an estimate, with room for rounding.
func (s Solution) Check(x []float64, tolerance float64) (distance float64, within bool) {
	const epsilon = 0x1p-52
	distance = Distance(x, s.X)
	return distance, distance <= 2*s.Condition*(tolerance+epsilon*float64(len(s.X)))
}

// Distance is max|x-y| / max|y|.
func Distance(x, y []float64) float64 {
	difference := 0.0
	for i := range y {
		difference = math.Max(difference, math.Abs(x[i]-y[i]))
	}
	switch {
	case math.IsNaN(difference):
		return math.Inf(1)
	case difference == 0:
		return 0
	}
	return difference / MaxAbs(y)
}
