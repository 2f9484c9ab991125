package input

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
)

// Progress is told, while a file is read, how many of its bytes have been.
type Progress func(file string, read, size int64)

// Read reads a matrix and a right-hand side. Without a file for the latter it is the sum of each
// row, so that the solution is all ones.
func Read(matrix, rhs string, progress Progress) (*System, error) {
	s := &System{}
	err := open(matrix, progress, func(r io.Reader) (err error) {
		s.Matrix, err = matrixmarket.Read(r, matrix)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, columns := s.Matrix.Dims()
	switch {
	case rows != columns:
		return nil, fmt.Errorf("%s: the matrix is %d × %d; that of a system of equations is square", matrix, rows, columns)
	case rows == 0:
		return nil, fmt.Errorf("%s: the matrix has no rows", matrix)
	}
	s.diagonal = s.Matrix.Diagonal()
	if err := checkDiagonal(matrix, s.diagonal); err != nil {
		return nil, err
	}
	if rhs == "" {
		ones := make([]float64, rows)
		for i := range ones {
			ones[i] = 1
		}
		s.RHS = make([]float64, rows)
		s.Matrix.MulVec(s.RHS, ones)
		return s, nil
	}
	err = open(rhs, progress, func(r io.Reader) (err error) {
		s.RHS, err = matrixmarket.ReadVector(r, rhs)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(s.RHS) != rows {
		return nil, fmt.Errorf("%s: the right-hand side has %d numbers; the matrix in %s has %d rows", rhs, len(s.RHS), matrix, rows)
	}
	return s, nil
}

// open has a file read.
func open(path string, progress Progress, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fileError(path, err)
	}
	if info.IsDir() {
		return fmt.Errorf("%s: it is a directory", path)
	}
	reader := matrixmarket.WithProgress(file, func(read int64) { progress(path, read, info.Size()) })
	return read(reader)
}

// fileError begins with the path, like all other errors.
func fileError(path string, err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func checkDiagonal(path string, diagonal []float64) error {
	first, zeros := 0, 0
	for i, d := range diagonal {
		if d != 0 {
			continue
		}
		if zeros == 0 {
			first = i
		}
		zeros++
	}
	switch zeros {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s: row %d has a zero on the diagonal, which the Jacobi method divides by; put the equations in another order", path, first+1)
	}
	return fmt.Errorf("%s: row %d and %d others have a zero on the diagonal, which the Jacobi method divides by; put the equations in another order", path, first+1, zeros-1)
}
