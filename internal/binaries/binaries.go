// Package binaries finds Sublet's own programs, for those that start them.
package binaries

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Directory is the environment variable that names the only directory to look in.
const Directory = "SUBLET_BIN"

// Find returns the absolute path of one of Sublet's programs: in the directory that SUBLET_BIN
// names if it is set, else beside the running program, else in PATH. An error tells where it looked.
func Find(name string) (string, error) {
	if directory := os.Getenv(Directory); directory != "" {
		path := filepath.Join(directory, name)
		if !isProgram(path) {
			return "", fmt.Errorf("there is no program %s in %s, where %s points", name, directory, Directory)
		}
		return filepath.Abs(path)
	}
	var looked []string
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if isProgram(path) {
			return path, nil
		}
		looked = append(looked, path)
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	if !errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("looking for %s in PATH: %w", name, err)
	}
	looked = append(looked, "PATH ("+os.Getenv("PATH")+")")
	return "", fmt.Errorf("the program %s was not found; looked for %s; set %s to the directory it is in", name, strings.Join(looked, " and in "), Directory)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
