package architecture

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var cBlock = regexp.MustCompile("(?s)```c\n(.*?)```")

// What docs/functions.md shows to authors of functions compiles without a warning, as C and as
// C++, and defines the function that the text speaks of.
func TestDocumentedFunctionsCompile(t *testing.T) {
	blocks := cBlock.FindAllStringSubmatch(read(t, root+"/docs/functions.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/functions.md has %d blocks of C, not 2", len(blocks))
	}
	folder := t.TempDir()
	include := filepath.Join(folder, "include", "sublet")
	if err := os.MkdirAll(include, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(include, "function.h"), read(t, root+"/internal/fabric/function.h"))
	source := filepath.Join(folder, "functions.c")
	write(t, source, blocks[0][1]+blocks[1][1])

	// In C++ a void pointer must be cast, which would only distract in the document.
	for _, compiler := range [][]string{{"gcc"}, {"g++", "-x", "c++", "-fpermissive", "-w"}} {
		library := filepath.Join(folder, "lib"+compiler[0]+".so")
		arguments := slices.Concat(compiler[1:], []string{
			"-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden",
			"-I", filepath.Join(folder, "include"), "-o", library, source,
		})
		if out, err := exec.CommandContext(t.Context(), compiler[0], arguments...).CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", compiler[0], strings.Join(arguments, " "), err, out)
			continue
		}
		exported := symbols(t, library)
		for _, want := range []string{"divide", "sublet_function_divide"} {
			if !slices.Contains(exported, want) {
				t.Errorf("%s: %s is not among the exported symbols %q", compiler[0], want, exported)
			}
		}
	}
}

// symbols are the names that a shared library defines for others.
func symbols(t *testing.T, path string) []string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, symbol := range all {
		if symbol.Section != elf.SHN_UNDEF {
			names = append(names, symbol.Name)
		}
	}
	return names
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
