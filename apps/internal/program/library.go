package program

import (
	"fmt"
	"os"
	"path/filepath"
)

// libraryFolder is where function libraries are installed, as seen from the programs' folder.
const libraryFolder = "../lib/sublet"

// FindLibrary returns the path of the executors' function library: what --library has given, or else the file of that
// name beside the program, or where it is installed.
func FindLibrary(given, name string) (string, error) {
	if given != "" {
		return given, nil
	}
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	beside := filepath.Join(filepath.Dir(program), name)
	installed := filepath.Join(filepath.Dir(program), libraryFolder, name)
	for _, path := range []string{beside, installed} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the executors' function library is neither %s nor %s; name it with --library", beside, installed)
}
