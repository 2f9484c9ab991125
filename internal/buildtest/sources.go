package buildtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// lookAtSources looks at what the programs are built from, by which go test knows that a result which
// it has kept is out of date: what other processes read, it does not see.
func lookAtSources() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("looking for the module: %w", err)
	}
	root := string(bytes.TrimSpace(out))
	for _, folder := range []string{"apps", "cmd", "config", "devices", "executors", "internal", "offload", "resources", "slurm"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
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
