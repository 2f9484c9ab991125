package mpitest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// CountHelpers returns variables with which programs start node helpers, of the programs in a folder, by a script that
// notes it, and how many have been started so far.
func CountHelpers(t testing.TB, folder string) (environment []string, starts func() int) {
	t.Helper()
	dir := t.TempDir()
	notes := filepath.Join(dir, "starts")
	if err := os.Symlink(filepath.Join(folder, "sublet-executor"), filepath.Join(dir, "sublet-executor")); err != nil {
		t.Fatal(err)
	}
	buildtest.Script(t, filepath.Join(dir, "sublet"), fmt.Sprintf("echo start >>%q\nexec %q \"$@\"\n", notes, filepath.Join(folder, "sublet")))
	return []string{"SUBLET_BIN=" + dir}, func() int {
		text, _ := os.ReadFile(notes) // there is none before the first
		return strings.Count(string(text), "\n")
	}
}
