package matrixmarket

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// A sparse matrix may have rows without entries, but a file of some bytes must not demand
// gigabytes of row pointers: beyond so many rows, there may be only so many of them per entry.
const (
	freeRows     = 1 << 20
	rowsPerEntry = 16
)

// entry is one entry of the file. Row and column count from 0.
type entry struct {
	row, column int32
	value       float64
}

// coordinate reads the entries of a coordinate file.
func (s *scanner) coordinate(h header) (*CSR, error) {
	if h.rows > freeRows && h.rows/rowsPerEntry > h.entries {
		return nil, s.errorf("%d rows for %d entries: beyond %d rows, at most %d rows per entry are read",
			h.rows, h.entries, freeRows, rowsPerEntry)
	}
	var entries []entry
	for i := range h.entries {
		line, err := s.entry(i, h)
		if err != nil {
			return nil, err
		}
		e, err := s.place(line, h)
		if err != nil {
			return nil, err
		}
		entries = append(grow(entries, h.entries), e)
	}
	if err := s.end(h); err != nil {
		return nil, err
	}
	m := compress(entries, h)
	if err := m.tidy(); err != nil {
		return nil, &SyntaxError{Name: s.name, Text: err.Error()}
	}
	return m, nil
}

// place reads the line of one entry.
func (s *scanner) place(line []byte, h header) (entry, error) {
	rest := words(line)
	row, column := rest.next(), rest.next()
	var word []byte
	shape := "a row and a column"
	if h.field != pattern {
		word = rest.next()
		shape = "a row, a column and a value"
	}
	if len(column) == 0 || h.field != pattern && len(word) == 0 || len(rest.next()) > 0 {
		return entry{}, s.errorf("found %s: an entry is %s", quote(line), shape)
	}
	i, ok := natural(row, h.rows)
	if !ok || i == 0 {
		return entry{}, s.errorf("row %s: a whole number from 1 to %d is expected", quote(row), h.rows)
	}
	j, ok := natural(column, h.columns)
	if !ok || j == 0 {
		return entry{}, s.errorf("column %s: a whole number from 1 to %d is expected", quote(column), h.columns)
	}
	switch {
	case h.symmetry != general && i < j:
		return entry{}, s.errorf("entry (%d, %d) is above the diagonal: of a %s matrix only the lower triangle is given", i, j, h.symmetry)
	case h.symmetry == skew && i == j:
		return entry{}, s.errorf("entry (%d, %d) is on the diagonal, which is 0 in a skew-symmetric matrix and not given", i, j)
	}
	e := entry{row: int32(i - 1), column: int32(j - 1), value: 1}
	if h.field != pattern {
		var err error
		if e.value, err = s.value(word, h.field); err != nil {
			return entry{}, err
		}
	}
	return e, nil
}

// compress sorts entries into rows, and adds the upper triangle where the file has only the lower
// one. Within a row the entries keep their order.
func compress(entries []entry, h header) *CSR {
	mirrored := func(e entry) bool { return h.symmetry != general && e.row != e.column }
	sign := 1.0
	if h.symmetry == skew {
		sign = -1
	}

	next := make([]int, h.rows+1) // first the size of each row, then where its next entry goes
	for _, e := range entries {
		next[e.row]++
		if mirrored(e) {
			next[e.column]++
		}
	}
	total := 0
	for i, size := range next {
		next[i] = total
		total += size
	}

	m := &CSR{Rows: h.rows, Columns: h.columns, Col: make([]int32, total), Val: make([]float64, total)}
	put := func(row, column int32, value float64) {
		m.Col[next[row]], m.Val[next[row]] = column, value
		next[row]++
	}
	for _, e := range entries {
		put(e.row, e.column, e.value)
		if mirrored(e) {
			put(e.column, e.row, sign*e.value)
		}
	}

	// Each row's next place has become the end of the row.
	copy(next[1:], next)
	next[0] = 0
	m.RowPtr = next
	return m
}

// tidy sorts the rows by column and adds up what is stored for the same place.
func (m *CSR) tidy() error {
	var scratch []entry
	kept, begin := 0, 0
	for i := range m.Rows {
		end := m.RowPtr[i+1]
		columns, values := m.Col[begin:end], m.Val[begin:end]
		if !slices.IsSorted(columns) {
			scratch = sortRow(scratch, columns, values)
		}
		m.RowPtr[i] = kept
		for k, column := range columns {
			if kept == m.RowPtr[i] || m.Col[kept-1] != column {
				m.Col[kept], m.Val[kept] = column, values[k]
				kept++
				continue
			}
			m.Val[kept-1] += values[k]
			if math.IsInf(m.Val[kept-1], 0) {
				return fmt.Errorf("the entries for (%d, %d) add up to more than a float64 holds", i+1, column+1)
			}
		}
		begin = end
	}
	m.RowPtr[m.Rows] = kept
	m.Col, m.Val = m.Col[:kept:kept], m.Val[:kept:kept]
	return nil
}

// sortRow sorts a row by column; what has the same column keeps its order. It returns scratch for
// the next row.
func sortRow(scratch []entry, columns []int32, values []float64) []entry {
	scratch = scratch[:0]
	for k, column := range columns {
		scratch = append(scratch, entry{column: column, value: values[k]})
	}
	slices.SortStableFunc(scratch, func(a, b entry) int { return cmp.Compare(a.column, b.column) })
	for k, e := range scratch {
		columns[k], values[k] = e.column, e.value
	}
	return scratch
}
