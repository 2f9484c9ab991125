package atomicfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sublet-hpc/sublet/internal/atomicfile"
)

// What is written to a descriptor's path goes where the descriptor's next bytes go.
func TestOpenDescriptor(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	link := filepath.Join(directory, "link")
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", log.Fd()), link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fmt.Sprintf("/proc/self/fd/%d", log.Fd()), fmt.Sprintf("/dev/fd/%d", log.Fd()), link} {
		fmt.Fprintln(log, "before")
		file, err := atomicfile.OpenDescriptor(name)
		if err != nil || file == nil {
			t.Fatalf("%s: %v, %v", name, file, err)
		}
		fmt.Fprintln(file, "there")
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(path)
	if want := "before\nthere\nbefore\nthere\nbefore\nthere\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v; want %q", text, err, want)
	}
}

func TestNoDescriptor(t *testing.T) {
	directory := t.TempDir()
	file, link, loop := filepath.Join(directory, "1"), filepath.Join(directory, "link"), filepath.Join(directory, "loop")
	for _, err := range []error{os.WriteFile(file, nil, 0o600), os.Symlink("1", link), os.Symlink("loop", loop)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{file, link, loop, filepath.Join(directory, "none", "1"), directory, "", "1", "/dev/null", "/proc/self/fd", "/proc/self/fd/99999"} {
		if got, err := atomicfile.OpenDescriptor(name); got != nil || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
		if atomicfile.IsDescriptor(name) {
			t.Errorf("%q is one", name)
		}
	}
}
