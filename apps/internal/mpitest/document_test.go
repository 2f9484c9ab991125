package mpitest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
)

const (
	root   = "../../.."
	module = "github.com/sublet-hpc/sublet"
	gompi  = "github.com/sbromberger/gompi"
)

// The whole program of docs/splitting.md builds outside of the repository, and prints what is said there.
func TestDocumentedProgram(t *testing.T) {
	document, err := os.ReadFile(root + "/docs/splitting.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindSubmatch(document)
		if found == nil {
			t.Fatalf("docs/splitting.md has nothing like %s", pattern)
		}
		return string(found[1])
	}
	folder := t.TempDir()
	program := block("(?s)```go\n(package main\n.*?)```")
	task := filepath.Join(t.TempDir(), "task.c") // beside main.go it would be taken for the program's own
	for path, text := range map[string]string{filepath.Join(folder, "main.go"): program, task: block("(?s)```c\n(.*?)```")} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := buildtest.Library(folder, "libtask.so", task, "-lm"); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor"); err != nil {
		t.Fatal(err)
	}
	buildOutside(t, folder)

	var out []byte
	mpitest.Eventually(t, time.Minute, func() (bool, string) { // other tests may have leased the cores of this host
		command := mpitest.Command(t.Context(), 1, []string{"SUBLET_BIN=" + bin}, "./roots")
		command.Dir = folder
		out, err = command.CombinedOutput()
		return !strings.Contains(string(out), "ask again later"), string(out)
	})
	if want := block("(?s)mpirun -n 1 ./roots\n```\n\n```\n(.*?)```"); err != nil || string(out) != want {
		t.Errorf("%v, %s; want %s", err, out, want)
	}
}

// buildOutside builds the program in folder as a module of its own. The document has go mod tidy, which would ask the
// network for modules of tests; the checkout's sums are enough to build.
func buildOutside(t *testing.T, folder string) {
	t.Helper()
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(checkout, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	version, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", gompi).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"mod", "init", "example.com/roots"},
		{"mod", "edit", "-require", module + "@v0.0.0", "-replace", module + "=" + checkout, "-require", gompi + "@" + string(version[:len(version)-1])},
		{"build", "-mod=mod", "-buildvcs=false", "-o", "roots", "."},
	} {
		command := exec.CommandContext(t.Context(), "go", arguments...)
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %q: %v\n%s", arguments, err, out)
		}
	}
}
