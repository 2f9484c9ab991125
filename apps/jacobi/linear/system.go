package linear

import (
	"fmt"
	"math"
)

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

// Size is N.
func (s System) Size() int { return s.N }

// Block generates the rows lo to hi-1.
func (s System) Block(lo, hi int) *Block {
	b := NewDense(s.N, lo, hi)
	s.Fill(b, lo, hi)
	return b
}

// Bytes is the size of a block of the rows lo to hi-1.
func (s System) Bytes(lo, hi int) int { return DenseBytes(s.N, hi-lo) }

// Place generates the rows lo to hi-1 into memory of Bytes(lo, hi) zeroes that start on a multiple
// of 8.
func (s System) Place(lo, hi int, memory []byte) (*Block, error) {
	b, err := s.Lay(lo, hi, memory)
	if err != nil {
		return nil, err
	}
	s.Fill(b, lo, hi)
	return b, nil
}

// Lay is Place without the rows: all of them are still zero.
func (s System) Lay(lo, hi int, memory []byte) (*Block, error) {
	words, err := wordsOf(memory)
	if err != nil {
		return nil, err
	}
	if len(memory) != s.Bytes(lo, hi) {
		return nil, fmt.Errorf("linear: %d bytes for a block of %d rows, which needs %d", len(memory), hi-lo, s.Bytes(lo, hi))
	}
	return layDense(s.N, lo, hi-lo, words), nil
}

// Fill generates the system's rows lo to hi-1 into a block of it that has them.
func (s System) Fill(b *Block, lo, hi int) {
	rows := b.Matrix.(*Dense)
	for i := lo - b.First; i < hi-b.First; i++ {
		b.Diagonal[i], b.RHS[i] = s.Row(b.First+i, rows.Row(i))
	}
}

// Direct solves the whole system directly.
func (s System) Direct() (Solution, error) {
	return Direct(s.N, func(i int, row []float64) float64 {
		_, rhs := s.Row(i, row)
		return rhs
	})
}

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
