package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// expect fails the test unless these are the names in a directory, in order, and path has the content.
func expect(t *testing.T, directory, path, content string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("there are %q, not %q", got, names)
	}
	if text, err := os.ReadFile(path); content != "" && (err != nil || string(text) != content) {
		t.Errorf("%q, %v; want %q", text, err, content)
	}
}

// What was there stays until Commit, keeps its mode, and is behind the same link.
func TestOutputReplaces(t *testing.T) {
	directory := t.TempDir()
	path, link := filepath.Join(directory, "file"), filepath.Join(directory, "link")
	if err := errors.Join(os.WriteFile(path, []byte("before"), 0o600), os.Chmod(path, 0o622), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		discarded, err := atomicfile.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := discarded.Write([]byte("never")); err != nil {
			t.Error(err)
		}
		discarded.Discard()
		expect(t, directory, path, "before", "file", "link")
	}
	output, err := atomicfile.Create(link)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"af", "ter"} {
		if _, err := output.Write([]byte(part)); err != nil {
			t.Error(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "before" {
		t.Errorf("before Commit it is %q, %v", text, err)
	}
	if err := output.Commit(); err != nil {
		t.Error(err)
	}
	output.Discard()
	expect(t, directory, path, "after", "file", "link")
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o622 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

// Also a file that nobody may read keeps its mode.
func TestOutputKeepsNoMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	output, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := output.Commit(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// A new file has the mode that any new one has.
func TestNewOutput(t *testing.T) {
	directory := t.TempDir()
	path, other := filepath.Join(directory, "file"), filepath.Join(directory, "other")
	output, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(output.Commit(), os.WriteFile(other, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	usual, err2 := os.Stat(other)
	if err != nil || err2 != nil || info.Mode() != usual.Mode() {
		t.Errorf("%v, %v; %v, %v", info, err, usual, err2)
	}
}

func TestOutputAsItIs(t *testing.T) {
	directory := t.TempDir()
	pipe := filepath.Join(directory, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	output, err := atomicfile.Create(pipe)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := output.Write([]byte("text")); err != nil {
		t.Error(err)
	}
	if err := output.Commit(); err != nil {
		t.Error(err)
	}
	text := make([]byte, 10)
	if n, err := reader.Read(text); err != nil || string(text[:n]) != "text" {
		t.Errorf("%q, %v", text[:n], err)
	}
	expect(t, directory, "", "", "pipe")
}

// Errors name what was asked for, and nothing is left.
func TestOutputFails(t *testing.T) {
	directory := t.TempDir()
	gone := filepath.Join(directory, "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(gone, "file")
	output, err := atomicfile.Create(late)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	fails := map[string]error{late: output.Commit()}
	for _, name := range []string{directory, filepath.Join(directory, "none", "file"), "/dev/full"} {
		output, err := atomicfile.Create(name)
		if err == nil {
			_, err = output.Write([]byte("text"))
			output.Discard()
		}
		fails[name] = err
	}
	for name, err := range fails {
		var path *os.PathError
		if !errors.As(err, &path) || path.Path != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fails[directory]; !errors.Is(err, syscall.EISDIR) {
		t.Error(err)
	}
	expect(t, directory, "", "")
}
