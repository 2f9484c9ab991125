package buildtest

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

const module = "github.com/sublet-hpc/sublet/"

// Programs builds programs into a directory; each is named by its package's folder in the module,
// cmd/sublet say.
func Programs(dir string, folders ...string) error {
	if err := lookAtSources(); err != nil {
		return err
	}
	for _, folder := range folders {
		command := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, filepath.Base(folder)), module+folder)
		command.Env = append(os.Environ(), "CGO_ENABLED=1")
		if folder == "cmd/sublet" { // for any login node
			command.Env = append(command.Env, "CGO_ENABLED=0")
		}
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", folder, err, out)
		}
	}
	return nil
}

// Library builds a function library from C or C++ sources, and returns its path. Among the sources there may be patterns
// (kernel/*.c) and options of the compiler. $CC and $CXX are the compilers.
func Library(dir, name string, sources ...string) (string, error) {
	include, err := installHeader(dir)
	if err != nil {
		return "", err
	}
	if sources, err = expand(sources); err != nil {
		return "", err
	}
	compiler := cmp.Or(os.Getenv("CC"), "cc")
	if slices.ContainsFunc(sources, func(source string) bool { return filepath.Ext(source) == ".cpp" }) {
		compiler = cmp.Or(os.Getenv("CXX"), "c++")
	}
	path := filepath.Join(dir, name)
	arguments := []string{"-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I", include, "-o", path}
	out, err := exec.Command(compiler, append(arguments, sources...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// expand replaces patterns by the files that they match, and leaves what matches none, as options do.
func expand(sources []string) (all []string, err error) {
	for _, source := range sources {
		found, err := filepath.Glob(source)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			found = []string{source}
		}
		all = append(all, found...)
	}
	return all, nil
}

// installHeader puts sublet/function.h where an include path of the result finds it.
func installHeader(dir string) (include string, err error) {
	fabric, err := exec.Command("go", "list", "-f", "{{.Dir}}", module+"internal/fabric").Output()
	if err != nil {
		return "", fmt.Errorf("looking for function.h: %w", err)
	}
	header, err := os.ReadFile(filepath.Join(string(bytes.TrimSpace(fabric)), "function.h"))
	if err != nil {
		return "", err
	}
	include = filepath.Join(dir, "include")
	if err := os.MkdirAll(filepath.Join(include, "sublet"), 0o755); err != nil {
		return "", err
	}
	return include, os.WriteFile(filepath.Join(include, "sublet", "function.h"), header, 0o644)
}
