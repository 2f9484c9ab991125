package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, test := range []struct {
		text string
		mode os.FileMode
	}{{"one", 0o600}, {"another, which is longer", 0o644}, {"", 0o600}} {
		if err := atomicfile.Write(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != test.text {
			t.Errorf("%q is read as %q, %v", test.text, text, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != test.mode {
			t.Errorf("%v, %v; want mode %v", info.Mode(), err, test.mode)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v lie there", left, err)
	}
}

// What can not take the file's place is not left behind, and the place is as it was.
func TestWriteInVain(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "taken", "inside")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(filepath.Join(directory, "taken"), []byte("text"), 0o600); err == nil {
		t.Error("a file took the place of a directory")
	}
	if left, err := os.ReadDir(directory); err != nil || len(left) != 1 {
		t.Errorf("%v, %v lie there", left, err)
	}
	if err := atomicfile.Write(filepath.Join(directory, "none", "file"), nil, 0o600); err == nil {
		t.Error("it was written where there is no directory")
	}
}
