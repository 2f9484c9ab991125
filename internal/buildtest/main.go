package buildtest

import (
	"fmt"
	"os"
	"path/filepath"
)

// Main has build fill a folder with what tests run, runs them, and removes it. It returns what is to be the exit status of
// TestMain. The folder's name has no symbolic link in it: programs that run from it are found by it (/proc/PID/exe).
func Main(tests interface{ Run() int }, build func(dir string) error) int {
	dir, err := os.MkdirTemp("", filepath.Base(os.Args[0]))
	if err == nil {
		defer os.RemoveAll(dir)
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return tests.Run()
}
