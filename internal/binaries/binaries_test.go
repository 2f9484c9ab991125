package binaries_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/internal/binaries"
)

// program makes an executable file and returns its directory.
func program(t *testing.T, mode os.FileMode) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "sublet-x"), []byte("#!/bin/sh\n"), mode); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestFind(t *testing.T) {
	named, inPath := program(t, 0o755), program(t, 0o755)
	t.Setenv("PATH", inPath)
	for directory, want := range map[string]string{named: named, "": inPath} {
		t.Setenv(binaries.Directory, directory)
		got, err := binaries.Find("sublet-x")
		if err != nil || got != filepath.Join(want, "sublet-x") {
			t.Errorf("with SUBLET_BIN=%q: %q, %v", directory, got, err)
		}
	}
}

// What is not found is not looked for elsewhere once SUBLET_BIN names the place; the error says
// where it was looked for.
func TestFindTellsWhereItLooked(t *testing.T) {
	t.Setenv("PATH", program(t, 0o755))
	for name, directory := range map[string]string{"no program": program(t, 0o644), "empty": t.TempDir(), "absent": "/absent"} {
		t.Setenv(binaries.Directory, directory)
		if got, err := binaries.Find("sublet-x"); err == nil || !strings.Contains(err.Error(), directory) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	t.Setenv(binaries.Directory, "")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = binaries.Find("sublet-absent")
	for _, want := range []string{filepath.Dir(self), "PATH (" + os.Getenv("PATH"), "set SUBLET_BIN"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}
