package matrixmarket

import "slices"

// CSR is a sparse matrix in compressed rows: the entries of row i are those from RowPtr[i] up to
// RowPtr[i+1], by increasing column, each column once.
type CSR struct {
	Rows, Columns int
	RowPtr        []int   // Rows+1 of them
	Col           []int32 // from 0
	Val           []float64
}

// Dims are the numbers of rows and columns.
func (m *CSR) Dims() (rows, columns int) { return m.Rows, m.Columns }

// Row is the columns and values of row i; they share the matrix's memory.
func (m *CSR) Row(i int) (columns []int32, values []float64) {
	lo, hi := m.RowPtr[i], m.RowPtr[i+1]
	return m.Col[lo:hi:hi], m.Val[lo:hi:hi]
}

// MulVec sets y to the product of the matrix and x.
func (m *CSR) MulVec(y, x []float64) {
	for i := range m.Rows {
		columns, values := m.Row(i)
		sum := 0.0
		for k, v := range values {
			sum += v * x[columns[k]]
		}
		y[i] = sum
	}
}

// Diagonal is a copy of the diagonal, with 0 where nothing is stored.
func (m *CSR) Diagonal() []float64 {
	diagonal := make([]float64, min(m.Rows, m.Columns))
	for i := range diagonal {
		columns, values := m.Row(i)
		if k, found := slices.BinarySearch(columns, int32(i)); found {
			diagonal[i] = values[k]
		}
	}
	return diagonal
}

// Balance is [Balance] by the rows' numbers of entries.
func (m *CSR) Balance(parts int) []int { return balance(m.RowPtr, parts) }
