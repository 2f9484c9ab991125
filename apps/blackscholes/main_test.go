package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/blackscholes/report"
	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// What these tests run is real: the programs and the function library are built into a folder first.
var bin string

func TestMain(m *testing.M) { os.Exit(buildtest.Main(m, build)) }

func build(dir string) error {
	bin = dir
	err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor", "apps/blackscholes")
	if err == nil {
		_, err = buildtest.Library(bin, "libblackscholes.so", "-std=c11", "kernel/blackscholes.c", "../internal/pricing/*.c", "-lm")
	}
	if err == nil {
		err = mpitest.Check(path("blackscholes"))
	}
	return err
}

// path is that of a file in the folder of programs.
func path(name string) string { return filepath.Join(bin, name) }

// runProgram runs the program on some ranks; it must succeed.
func runProgram(t *testing.T, ranks int, environment []string, args ...string) mpitest.Result {
	t.Helper()
	result := mpitest.Run(t, ranks, environment, path("blackscholes"), args...)
	mpitest.ExpectNothingLeft(t, bin)
	if result.Status != 0 {
		t.Fatalf("%d ranks, %v: exit status %d\n%s%s", ranks, args, result.Status, result.Stdout, result.Stderr)
	}
	return result
}

// price runs the program and returns its report.
func price(t *testing.T, ranks int, environment []string, args ...string) report.Report {
	t.Helper()
	return decode(t, runProgram(t, ranks, environment, append(args, "--report", "json")...).Stdout)
}

func decode(t *testing.T, stdout string) report.Report {
	t.Helper()
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return r
}

// generate has the program write a file of options.
func generate(t *testing.T, options int, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "options")
	runProgram(t, 1, nil, append([]string{"--generate", fmt.Sprint(options), "--output", name}, args...)...)
	return name
}

// complaints are what the program wrote to standard error, without the lines of progress that come when the machine
// is busy.
func complaints(result mpitest.Result) []string {
	return slices.DeleteFunc(result.Said(), func(line string) bool {
		return strings.Contains(line, " options, ") && strings.HasSuffix(line, " %")
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "options.txt")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
