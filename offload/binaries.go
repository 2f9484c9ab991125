package offload

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// findBinary looks for one of Sublet's programs: in the directory that SUBLET_BIN names if it is
// set, else beside the running program, else in PATH.
func findBinary(name string) (string, error) {
	var looked []string
	try := func(path string) bool {
		looked = append(looked, path)
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	}
	if dir := os.Getenv("SUBLET_BIN"); dir != "" {
		if path := filepath.Join(dir, name); try(path) {
			return filepath.Abs(path)
		}
		return "", fmt.Errorf("offload: there is no program %s in %s, where SUBLET_BIN points", name, dir)
	}
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); try(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	if !errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("offload: looking for %s in PATH: %w", name, err)
	}
	looked = append(looked, "PATH ("+os.Getenv("PATH")+")")
	return "", fmt.Errorf("offload: the program %s was not found; looked for %s; set SUBLET_BIN to the directory it is in", name, strings.Join(looked, " and in "))
}
