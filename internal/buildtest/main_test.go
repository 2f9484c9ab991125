package buildtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// counted are tests that look at what was built for them.
type counted func() int

func (c counted) Run() int { return c() }

func TestMainRunsWhatWasBuilt(t *testing.T) {
	var file string
	build := func(dir string) error {
		file = filepath.Join(dir, "program")
		return os.WriteFile(file, nil, 0o600)
	}
	status := Main(counted(func() int {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		return 7
	}), build)
	if status != 7 {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Stat(filepath.Dir(file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestMainRunsNothingThatWasNotBuilt(t *testing.T) {
	status := Main(counted(func() int {
		t.Error("the tests ran")
		return 0
	}), func(string) error { return errors.New("this error belongs to a test") })
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
}

// A pattern stands for all files that it matches, and one that matches none is an error of the compiler's.
func TestLibraryOfPatterns(t *testing.T) {
	dir := t.TempDir()
	for name, source := range map[string]string{"a.c": "int b(void); int a(void); int a(void) { return b(); }\n", "b.c": "int b(void); int b(void) { return 1; }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Without b.c the library would lack a symbol.
	if _, err := Library(dir, "lib.so", "-Wl,-z,defs", filepath.Join(dir, "*.c")); err != nil {
		t.Error(err)
	}
	if _, err := Library(dir, "lib.so", filepath.Join(dir, "*.cpp")); err == nil {
		t.Error("no source is no error")
	}
}
