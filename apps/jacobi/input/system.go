package input

import (
	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
	"github.com/sublet-hpc/sublet/apps/jacobi/linear"
)

// System is a system of equations that was read from files.
type System struct {
	Matrix   matrixmarket.Matrix // square, without a zero on the diagonal
	RHS      []float64
	diagonal []float64
}

// Size is the number of unknowns.
func (s *System) Size() int { return len(s.RHS) }

// Entries is the number of coefficients that are stored.
func (s *System) Entries() int {
	if sparse := s.sparse(); sparse != nil {
		return len(sparse.Val)
	}
	return s.Size() * s.Size()
}

// Sparse tells whether only some coefficients are stored.
func (s *System) Sparse() bool { return s.sparse() != nil }

func (s *System) sparse() *matrixmarket.CSR {
	sparse, _ := s.Matrix.(*matrixmarket.CSR)
	return sparse
}

// Divide divides the rows into parts of about equally many coefficients; part k is the rows from
// boundary k up to boundary k+1.
func (s *System) Divide(parts int) []int {
	if sparse := s.sparse(); sparse != nil {
		return sparse.Balance(parts)
	}
	return linear.Divide(s.Size(), parts)
}

// Bytes is the size of a block of the rows lo to hi-1.
func (s *System) Bytes(lo, hi int) int {
	if sparse := s.sparse(); sparse != nil {
		return linear.SparseBytes(hi-lo, sparse.RowPtr[hi]-sparse.RowPtr[lo])
	}
	return linear.DenseBytes(s.Size(), hi-lo)
}

// Block makes a block of the rows lo to hi-1.
func (s *System) Block(lo, hi int) *linear.Block {
	var block *linear.Block
	switch m := s.Matrix.(type) {
	case *matrixmarket.CSR:
		begin, end := m.RowPtr[lo], m.RowPtr[hi]
		block = linear.NewSparse(s.Size(), lo, hi, end-begin)
		rows := block.Matrix.(*linear.Sparse)
		for i := range rows.Starts {
			rows.Starts[i] = int64(m.RowPtr[lo+i] - begin)
		}
		copy(rows.Columns, m.Col[begin:end])
		copy(rows.Values, m.Val[begin:end])
	case *matrixmarket.Dense:
		block = linear.NewDense(s.Size(), lo, hi)
		rows := block.Matrix.(*linear.Dense)
		for i := lo; i < hi; i++ {
			copy(rows.Row(i-lo), m.Row(i))
		}
	}
	copy(block.RHS, s.RHS[lo:hi])
	copy(block.Diagonal, s.diagonal[lo:hi])
	return block
}

// Direct solves the system directly, as [linear.Direct] does.
func (s *System) Direct() (linear.Solution, error) {
	return linear.Direct(s.Size(), func(i int, row []float64) float64 {
		switch m := s.Matrix.(type) {
		case *matrixmarket.CSR:
			columns, values := m.Row(i)
			for k, column := range columns {
				row[column] = values[k]
			}
		case *matrixmarket.Dense:
			copy(row, m.Row(i))
		}
		return s.RHS[i]
	})
}
