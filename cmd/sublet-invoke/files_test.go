package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A new file has the mode that the umask leaves.
func TestNewFileHasTheUsualMode(t *testing.T) {
	folder := t.TempDir()
	usual, path := filepath.Join(folder, "usual"), filepath.Join(folder, "new")
	if err := os.WriteFile(usual, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(usual)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(path)
	if err != nil || got.Mode() != want.Mode() {
		t.Errorf("mode %v, want %v; %v", got.Mode(), want.Mode(), err)
	}
}

// A write that fails half way leaves what was there, and nothing beside it.
func TestFailedWriteLeavesTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "kept")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	small := unix.Rlimit{Cur: 4096, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	err := replaceFile(path, make([]byte, 8192))
	if restore := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); restore != nil {
		t.Fatal(restore)
	}
	content, readErr := os.ReadFile(path)
	entries, listErr := os.ReadDir(folder)
	if err == nil || readErr != nil || listErr != nil || string(content) != "before" || len(entries) != 1 {
		t.Errorf("writing: %v; then the file has %q and is one of %d; %v, %v", err, content, len(entries), readErr, listErr)
	}
}

// What stands for a descriptor, as /dev/stdout, is written to where the descriptor is, also if it is a file's.
func TestOutputToADescriptor(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprintln(log, "before")
	if err := replaceFile(fmt.Sprintf("/dev/fd/%d", log.Fd()), []byte("output\n")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(log, "report")
	if content, err := os.ReadFile(log.Name()); err != nil || string(content) != "before\noutput\nreport\n" {
		t.Errorf("%q, %v", content, err)
	}
}
