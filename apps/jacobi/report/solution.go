package report

import (
	"errors"
	"fmt"
	"os"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// CheckSolutionPath tells whether a solution could be written to path, so that work is not done in
// vain.
func CheckSolutionPath(path string) error {
	output, err := atomicfile.Create(path)
	if err != nil {
		return outputError(path, err)
	}
	output.Discard()
	return nil
}

// WriteSolution writes a vector to a MatrixMarket file. An older file stays until the new one is
// complete.
func WriteSolution(path string, x []float64) error {
	output, err := atomicfile.Create(path)
	if err == nil {
		defer output.Discard()
		err = matrixmarket.WriteVector(output, x)
	}
	if err == nil {
		err = output.Commit()
	}
	if err != nil {
		return outputError(path, err)
	}
	return nil
}

// outputError names the path once.
func outputError(path string, err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("--output %s: %w", path, err)
}
