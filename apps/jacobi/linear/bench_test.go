package linear

import "testing"

// grid is the equations of a square grid of side × side points: five coefficients in a row.
func grid(side int) *Block {
	n := side * side
	block := NewSparse(n, 0, n, 5*n-4*side)
	rows := block.Matrix.(*Sparse)
	at := int64(0)
	for i := range n {
		enter := func(column int, value float64) {
			rows.Columns[at], rows.Values[at] = int32(column), value
			at++
		}
		if i >= side {
			enter(i-side, -1)
		}
		if i%side > 0 {
			enter(i-1, -1)
		}
		enter(i, 4.1)
		if i%side < side-1 {
			enter(i+1, -1)
		}
		if i < n-side {
			enter(i+side, -1)
		}
		block.RHS[i], block.Diagonal[i] = 1, 4.1
		rows.Starts[i+1] = at
	}
	return block
}

// What a rank does in an iteration of a sparse system: sweeping, and looking at the step.
func BenchmarkSparse(b *testing.B) {
	block := grid(300)
	x, next := make([]float64, Stride(block.N)), make([]float64, Stride(block.N))
	b.Run("sweep", func(b *testing.B) {
		for b.Loop() {
			block.Sweep(next, x, 0, block.Rows)
		}
	})
	b.Run("step", func(b *testing.B) {
		for b.Loop() {
			Step(next, x, 0, block.Diagonal)
		}
	})
}
