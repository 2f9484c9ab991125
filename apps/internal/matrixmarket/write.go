package matrixmarket

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Write writes a matrix as an array file, real and general. Each value is written with as many
// digits as it takes to read exactly the same value again. A matrix with a value that is not finite
// is refused before anything is written: the format has no way to say it.
func Write(w io.Writer, m *Dense) error {
	for k, v := range m.Val {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("row %d, column %d is %g: a MatrixMarket file has finite values only", k/m.Columns+1, k%m.Columns+1, v)
		}
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%%%%MatrixMarket matrix array real general\n%d %d\n", m.Rows, m.Columns)
	var line []byte
	for j := range m.Columns {
		for i := range m.Rows {
			line = strconv.AppendFloat(line[:0], m.Val[i*m.Columns+j], 'g', -1, 64)
			line = append(line, '\n')
			if _, err := b.Write(line); err != nil {
				return err
			}
		}
	}
	return b.Flush()
}

// WriteVector writes a matrix of one column.
func WriteVector(w io.Writer, x []float64) error {
	return Write(w, &Dense{Rows: len(x), Columns: 1, Val: x})
}
