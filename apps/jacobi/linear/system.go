package linear

import "math"

// System is a dense, diagonally dominant system of linear equations. Every row can be generated
// by itself, by anybody, in any order, and is always the same.
//
// The numbers off the diagonal lie in [0, 1). The diagonal is their sum times Dominance, so that
// every sweep of the Jacobi method shrinks the error by about that factor: it converges above 1
// and does not below. The right-hand side is the diagonal times a number in [-1, 1), which makes
// the solution's numbers about as large as 1.
type System struct {
	N         int
	Seed      uint64
	Dominance float64
}

// align is how many numbers a part of a block is rounded up to: a cache line of them.
const align = 8

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

// Stride is the length of a row in memory, and of a vector that a sweep reads: N rounded up to 8.
func (s System) Stride() int { return padded(s.N) }

// Row writes row i to row[:N] and returns its diagonal and its right-hand side.
func (s System) Row(i int, row []float64) (diagonal, rhs float64) {
	row = row[:s.N]
	key := mix(s.Seed ^ mix(uint64(i)+1))
	sum := 0.0
	for j := range row {
		row[j] = unit(mix(key + uint64(j)*golden))
		sum += row[j]
	}
	sum -= row[i]
	// A row of a tiny system can sum up to nothing.
	diagonal = s.Dominance * math.Max(sum, 1)
	row[i] = diagonal
	return diagonal, diagonal * (2*unit(mix(key+uint64(s.N)*golden)) - 1)
}

const golden = 0x9e3779b97f4a7c15

// mix is the finalizer of splitmix64: it turns counters into random bits.
func mix(z uint64) uint64 {
	z += golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit makes a number in [0, 1) of random bits.
func unit(bits uint64) float64 { return float64(bits>>11) * 0x1p-53 }

// Divide returns the items lo to hi-1 of n that part p of parts gets: contiguous, in order, and
// no part gets more than one item more than another.
func Divide(n, parts, p int) (lo, hi int) {
	small, larger := n/parts, n%parts
	lo = p*small + min(p, larger)
	hi = lo + small
	if p < larger {
		hi++
	}
	return lo, hi
}
