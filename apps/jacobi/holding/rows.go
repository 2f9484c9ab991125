package holding

import (
	"math"

	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
)

// Rows are those of one rank. Row numbers are the system's.
type Rows interface {
	// Make makes those of the rows lo to hi-1 that nobody has.
	Make(lo, hi int) error
	// Sweep does one iteration for the rows lo to hi-1, as [linear.Block.Sweep] does.
	Sweep(next, x []float64, lo, hi int) error
	// Bytes is the size of a block of those rows.
	Bytes(lo, hi int) int
	// Lend makes a block of those rows in memory of so many zeroes, from where Sweep may take them until TakeBack.
	Lend(lo, hi int, memory []byte) (*linear.Block, error)
	// Spare tells whether all rows of a block that was lent are also elsewhere.
	Spare(block *linear.Block) bool
	// TakeBack is told that the memory of a block that was lent is about to go.
	TakeBack(block *linear.Block) error
	// Facts are what is known of rows that have been made so far.
	Facts() *Facts
	// Held is how many bytes of rows there are besides those that were lent.
	Held() int
	// Close gives back all memory but that of others.
	Close() error
}

// Facts are what is to be known of rows without a look at them.
type Facts struct {
	First    int       // row
	Diagonal []float64 // of each row; 0: it has not been made yet
	Largest  float64   // largest right-hand side, by its absolute value
}

// note enters rows of a block.
func (f *Facts) note(b *linear.Block, lo, hi int) {
	copy(f.Diagonal[lo-f.First:], b.Diagonal[lo-b.First:hi-b.First])
	f.Largest = math.Max(f.Largest, linear.MaxAbs(b.RHS[lo-b.First:hi-b.First]))
}
