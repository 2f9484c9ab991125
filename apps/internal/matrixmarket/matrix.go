package matrixmarket

// Matrix is what a file holds: a [*CSR] or a [*Dense].
type Matrix interface {
	// Dims are the numbers of rows and columns.
	Dims() (rows, columns int)
	// MulVec sets y to the product of the matrix and x. y has a value for each row, x one for each
	// column, and they do not overlap.
	MulVec(y, x []float64)
	// Diagonal is a copy of the diagonal, with 0 where nothing is stored.
	Diagonal() []float64
}

// Dense is a matrix with all of its values.
type Dense struct {
	Rows, Columns int
	Val           []float64 // row by row
}

// Dims are the numbers of rows and columns.
func (m *Dense) Dims() (rows, columns int) { return m.Rows, m.Columns }

// Row is row i; it shares the matrix's memory.
func (m *Dense) Row(i int) []float64 {
	return m.Val[i*m.Columns : (i+1)*m.Columns : (i+1)*m.Columns]
}

// MulVec sets y to the product of the matrix and x.
func (m *Dense) MulVec(y, x []float64) {
	for i := range m.Rows {
		sum := 0.0
		for j, v := range m.Row(i) {
			sum += v * x[j]
		}
		y[i] = sum
	}
}

// Diagonal is a copy of the diagonal.
func (m *Dense) Diagonal() []float64 {
	diagonal := make([]float64, min(m.Rows, m.Columns))
	for i := range diagonal {
		diagonal[i] = m.Val[i*m.Columns+i]
	}
	return diagonal
}
