package main

import (
	"fmt"
	"io"
	"os"

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
	file, err := atomicfile.Create(name)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Commit()
}
