package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

func readInput(name string, stdin io.Reader) (input []byte, err error) {
	switch name {
	case "":
		return nil, nil
	case options.Standard:
		if input, err = io.ReadAll(stdin); err != nil {
			return nil, fmt.Errorf("--in -: %w", err)
		}
		return input, nil
	}
	if input, err = os.ReadFile(name); err != nil {
		return nil, fmt.Errorf("--in: %w", err)
	}
	return input, nil
}

func writeOutput(name string, output []byte, stdout io.Writer) error {
	var err error
	switch name {
	case "":
	case options.Standard:
		_, err = stdout.Write(output)
	default:
		err = replaceFile(name, output)
	}
	if err != nil {
		return fmt.Errorf("--out %s: %w", name, err)
	}
	return nil
}

// replaceFile writes a file whole or not at all. A device, a pipe, or a descriptor as /dev/stdout is written as it is.
func replaceFile(name string, content []byte) error {
	if file, err := atomicfile.OpenDescriptor(name); err != nil {
		return err
	} else if file != nil {
		_, err = file.Write(content)
		return errors.Join(err, file.Close())
	}
	path, err := filepath.EvalSymlinks(name) // what a link names is replaced, not the link
	if errors.Is(err, fs.ErrNotExist) {
		path, err = name, nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	exists := err == nil
	if exists && !info.Mode().IsRegular() {
		return os.WriteFile(path, content, 0)
	}
	draft := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text())
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(draft) // nothing once it is renamed
	_, err = file.Write(content)
	if exists {
		err = errors.Join(err, file.Chmod(info.Mode().Perm()))
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(draft, path)
}
