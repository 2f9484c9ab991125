package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// CheckSolutionPath tells whether a solution could be written to path, so that work is not done in
// vain.
func CheckSolutionPath(path string) error {
	file, err := create(path)
	if err != nil {
		return err
	}
	file.discard()
	return nil
}

// WriteSolution writes a vector to a MatrixMarket file. An older file stays until the new one is
// complete.
func WriteSolution(path string, x []float64) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	if err := matrixmarket.WriteVector(f.file, x); err != nil {
		f.discard()
		return outputError(path, err)
	}
	return f.keep(path)
}

// solutionFile is a file being written: beside its final place, unless that is a device, a pipe, or a descriptor of
// this process.
type solutionFile struct {
	file   *os.File
	temp   bool
	target string // its final place
}

func create(path string) (solutionFile, error) {
	if file, err := atomicfile.OpenDescriptor(path); err != nil {
		return solutionFile{}, outputError(path, err)
	} else if file != nil {
		return solutionFile{file: file}, nil
	}
	target, err := filepath.EvalSymlinks(path) // the file is to be replaced, not the link to it
	if err != nil {
		target = path
	}
	info, err := os.Stat(target)
	if err == nil && info.IsDir() {
		return solutionFile{}, fmt.Errorf("--output %s: it is a directory", path)
	}
	f := solutionFile{temp: err != nil || info.Mode().IsRegular(), target: target}
	if f.temp {
		f.file, err = os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	} else {
		f.file, err = os.OpenFile(target, os.O_WRONLY, 0)
	}
	if err != nil {
		return f, outputError(path, err)
	}
	return f, nil
}

// outputError names the path that was asked for, rather than that of the file on the way to it.
func outputError(path string, err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("--output %s: %w", path, err)
}

func (f solutionFile) keep(path string) error {
	var err error
	if f.temp {
		err = f.file.Chmod(0o644)
	}
	err = errors.Join(err, f.file.Close())
	if f.temp && err == nil {
		err = os.Rename(f.file.Name(), f.target)
	}
	if err != nil {
		f.discard()
		return outputError(path, err)
	}
	return nil
}

func (f solutionFile) discard() {
	f.file.Close()
	if f.temp {
		os.Remove(f.file.Name())
	}
}
