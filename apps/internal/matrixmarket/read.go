package matrixmarket

import (
	"errors"
	"io"
)

// Read reads a matrix, up to the end of r: a [*CSR] from a coordinate file, a [*Dense] from an array
// file. name is the file's name, for errors.
func Read(r io.Reader, name string) (Matrix, error) {
	s := newScanner(r, name)
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	if h.format == array {
		m, err := s.array(h)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	m, err := s.coordinate(h)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// ReadVector reads a matrix of one column, of any format.
func ReadVector(r io.Reader, name string) ([]float64, error) {
	matrix, err := Read(r, name)
	if err != nil {
		return nil, err
	}
	rows, columns := matrix.Dims()
	if columns != 1 {
		return nil, &SyntaxError{Name: name, Text: shape(rows, columns) + ": a vector has one column"}
	}
	if dense, ok := matrix.(*Dense); ok {
		return dense.Val, nil
	}
	x := make([]float64, rows)
	matrix.MulVec(x, []float64{1})
	return x, nil
}

// entry returns the line of entry number i, from 0.
func (s *scanner) entry(i int, h header) ([]byte, error) {
	line, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, s.errorf("the file ends after %d of %d entries", i, h.entries)
	}
	return line, err
}

// end makes sure that nothing follows the last entry.
func (s *scanner) end(h header) error {
	line, err := s.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return s.errorf("found %s after the last of %d entries", quote(line), h.entries)
}

// grow returns list with room for one more. It doubles what there is, and never makes more room
// than for the total: a size line alone allocates next to nothing.
func grow[T any](list []T, total int) []T {
	if len(list) < cap(list) {
		return list
	}
	larger := make([]T, len(list), min(max(2*len(list), 1024), total))
	copy(larger, list)
	return larger
}
