package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// build builds Sublet's programs and the tests' function library.
func build(dir string) error {
	if err := lookAtSources(); err != nil {
		return err
	}
	for program, cgo := range map[string]string{"sublet": "0", "sublet-executor": "1", "sublet-invoke": "1"} {
		command := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../"+program)
		command.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	header, err := os.ReadFile("../../internal/fabric/function.h")
	if err != nil {
		return err
	}
	include := filepath.Join(dir, "include", "sublet", "function.h")
	if err := os.MkdirAll(filepath.Dir(include), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(include, header, 0o644); err != nil {
		return err
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	out, err := exec.Command(compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
		"-I", filepath.Join(dir, "include"), "-o", library(dir), "testdata/functions.c").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the function library: %w\n%s", err, out)
	}
	return nil
}

// lookAtSources looks at what the programs are built from, by which go test knows that a result which
// it has kept is out of date: what other processes read, it does not see.
func lookAtSources() error {
	for _, folder := range []string{"cmd", "executors", "internal", "offload", "resources"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // another test's, which it has removed meanwhile
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func library(dir string) string { return filepath.Join(dir, "libfunctions.so") }
