package buildtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// Scripts that are run as soon as they are written, while others start processes, are never busy.
func TestScript(t *testing.T) {
	folder := t.TempDir()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for j := range 50 {
				path := filepath.Join(folder, fmt.Sprintf("%d-%d", i, j))
				Script(t, path, "echo said")
				if said, err := exec.CommandContext(t.Context(), path).Output(); err != nil || string(said) != "said\n" {
					t.Fatalf("%q, %v", said, err)
				}
			}
		})
	}
}
