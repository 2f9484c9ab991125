package matrixmarket

import "strconv"

// array reads the values of an array file: column by column, and of each column only what is in
// the lower triangle if the matrix has a symmetry.
func (s *scanner) array(h header) (*Dense, error) {
	var values []float64
	for i := range h.entries {
		line, err := s.entry(i, h)
		if err != nil {
			return nil, err
		}
		rest := words(line)
		word := rest.next()
		if len(rest.next()) > 0 {
			return nil, s.errorf("found %s: an entry of an array is one value", quote(line))
		}
		v, err := s.value(word, h.field)
		if err != nil {
			return nil, err
		}
		values = append(grow(values, h.entries), v)
	}
	if err := s.end(h); err != nil {
		return nil, err
	}
	m := &Dense{Rows: h.rows, Columns: h.columns}
	switch h.symmetry {
	case symmetric:
		m.Val = mirror(values, h.rows, 0, 1)
	case skew:
		m.Val = mirror(values, h.rows, 1, -1)
	case general:
		m.Val = transpose(values, h.rows, h.columns)
	}
	return m, nil
}

// transpose turns values in columns into values in rows.
func transpose(values []float64, rows, columns int) []float64 {
	if rows <= 1 || columns <= 1 {
		return values
	}
	const panel = 8 // columns at a time: one cache line is written at once
	transposed := make([]float64, len(values))
	for begin := 0; begin < columns; begin += panel {
		end := min(begin+panel, columns)
		for i := range rows {
			row := transposed[i*columns : (i+1)*columns]
			for j := begin; j < end; j++ {
				row[j] = values[j*rows+i]
			}
		}
	}
	return transposed
}

// mirror makes a full matrix from the columns of its lower triangle, which begin on the diagonal
// or below of it; the upper triangle is that times sign.
func mirror(values []float64, n, below int, sign float64) []float64 {
	full := make([]float64, n*n)
	for j := range n {
		for i := j + below; i < n; i++ {
			full[i*n+j] = values[0]
			full[j*n+i] = sign * values[0]
			values = values[1:]
		}
	}
	return full
}

// shape is a matrix's size, for errors.
func shape(rows, columns int) string {
	return strconv.Itoa(rows) + " × " + strconv.Itoa(columns)
}
