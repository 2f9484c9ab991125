package launcher

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakeFolder(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "slurm")
	for range 2 { // made, and there
		if err := MakeFolder(path); err != nil {
			t.Fatal(err)
		}
	}
	linked := filepath.Join(directory, "linked")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	if err := MakeFolder(linked); err != nil {
		t.Errorf("a link of ours to a folder of ours: %v", err)
	}
	refused := func(what, path, want string) {
		t.Helper()
		if err := MakeFolder(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want an error that says %q", what, err, want)
		}
	}
	if err := os.Symlink("/nowhere/at/all", filepath.Join(directory, "dangling")); err != nil {
		t.Fatal(err)
	}
	refused("a link that leads nowhere", filepath.Join(directory, "dangling"), "dangling")
	mode := func(path string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mode(directory, 0o777)
	refused("a run directory that everybody can write to", path, "chmod o-w "+directory)
	mode(directory, 0o777|fs.ModeSticky)
	if err := MakeFolder(path); err != nil {
		t.Errorf("with the sticky bit: %v", err)
	}
	mode(path, 0o703)
	refused("a folder that everybody can write to", path, "chmod o-w "+path)
	if os.Getuid() != 0 {
		refused("one in somebody else's", "/usr/slurm", "/usr belongs to user 0")
		return
	}
	mode(path, 0o700)
	const nobody = 65534
	if err := os.Lchown(linked, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	refused("somebody else's link", linked, "belongs to user 65534")
	if err := os.Lchown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	refused("somebody else's folder", path, "belongs to user 65534")
	refused("one in somebody else's", filepath.Join(path, "harvest"), path+" belongs to user 65534")
	if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
		t.Errorf("in somebody else's folder there are %v, %v", left, err)
	}
}
