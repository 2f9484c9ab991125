package mpitest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CountHelpers returns variables with which programs start node helpers, of the programs in a folder, by a script that
// notes it, and how many have been started so far.
func CountHelpers(t testing.TB, folder string) (environment []string, starts func() int) {
	t.Helper()
	dir := t.TempDir()
	notes := filepath.Join(dir, "starts")
	err := os.Symlink(filepath.Join(folder, "sublet-executor"), filepath.Join(dir, "sublet-executor"))
	if err == nil {
		script := fmt.Appendf(nil, "#!/bin/sh\necho start >>%q\nexec %q \"$@\"\n", notes, filepath.Join(folder, "sublet"))
		err = os.WriteFile(filepath.Join(dir, "sublet"), script, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"SUBLET_BIN=" + dir}, func() int {
		text, _ := os.ReadFile(notes) // there is none before the first
		return strings.Count(string(text), "\n")
	}
}
