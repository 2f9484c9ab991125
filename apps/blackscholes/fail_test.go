package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

const good = "42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.76\n"

// Whatever is wrong, one rank says so in one line, all ranks end, and nothing is left.
func TestFailures(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	many := strings.Repeat(good, 3000)
	for name, test := range map[string]struct {
		input       string // text of a file; empty: none
		args        []string
		environment []string
		status      int
		want        []string
	}{
		"wrong usage":           {"", []string{"--offload", "150"}, nil, 2, []string{"--offload", "0 to 100 percent", "--help"}},
		"no such file":          {"", []string{"--input", missing}, nil, 1, []string{missing}},
		"a directory":           {"", []string{"--input", t.TempDir()}, nil, 1, []string{"directory"}},
		"an empty file":         {"\n", nil, nil, 1, []string{"options.txt", "empty"}},
		"too few":               {"3001\n" + many, nil, nil, 1, []string{"options.txt:1: ", "3001 options", "3000 follow"}},
		"too many":              {"2999\n" + many, nil, nil, 1, []string{"options.txt:1: ", "2999 options", "3000 follow"}},
		"far too many promised": {"1000000000000000000\n" + many, nil, nil, 1, []string{"options.txt:1: ", "3000 follow"}},
		"a short line":          {"3001\n" + many + "42.00 40.00 0.1000\n", nil, nil, 1, []string{"options.txt:3002: "}},
		"not a number":          {"3001\n" + good + "42.00 nan 0.1000 0.00 0.20 0.50 C 0.00 4.76\n" + strings.Repeat(good, 2999), nil, nil, 1, []string{"options.txt:3: "}},
		"negative time":         {"3001\n" + many + "42.00 40.00 0.1000 0.00 0.20 -0.50 C 0.00 4.76\n", nil, nil, 1, []string{"options.txt:3002: "}},
		"an unknown type":       {"1\n42.00 40.00 0.1000 0.00 0.20 0.50 X 0.00 4.76\n", nil, nil, 1, []string{"options.txt:2: "}},
		"no library":            {"", []string{"--offload", "50", "--library", missing}, nil, 1, []string{missing}},
		"no such transport":     {"", []string{"--offload", "50"}, []string{"SUBLET_TRANSPORT=pigeon"}, 1, []string{"pigeon", "ring"}},
		"no folder to write to": {"", []string{"--output", missing + "/prices"}, nil, 1, []string{missing}},
		"a device for many":     {"", []string{"--output", "/dev/full"}, nil, 1, []string{"/dev/full", "one rank"}},
		"a device in binary":    {"", []string{"--output", "/dev/null", "--binary"}, nil, 1, []string{"/dev/null", "--binary"}},
		"more than memory":      {"", []string{"--size", "1000000000000"}, nil, 1, []string{"--size 1000000000000", "3 of the ranks are on node", "GiB"}},
		"no memory":             {"", []string{"--offload", "50", "--size", "3000000", "--executor-memory", "16MiB"}, nil, 1, []string{"--executor-memory", "16 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--report", "json"}, test.args...)
			if test.input != "" {
				args = append(args, "--input", write(t, test.input))
			} else if !strings.Contains(strings.Join(args, " "), "--size") && !strings.Contains(strings.Join(args, " "), "--input") {
				args = append(args, "--size", "1000")
			}
			output := filepath.Join(t.TempDir(), "prices.txt")
			if !strings.Contains(strings.Join(args, " "), "--output") {
				args = append(args, "--output", output)
			}
			result := mpitest.Run(t, 3, test.environment, path("blackscholes"), args...)
			mpitest.ExpectNothingLeft(t, bin)
			if result.Status != test.status || result.Stdout != "" {
				t.Errorf("exit status %d, want %d; standard output %q", result.Status, test.status, result.Stdout)
			}
			if left, err := os.ReadDir(filepath.Dir(output)); err != nil || len(left) > 0 {
				t.Errorf("there is left %v, %v", left, err)
			}
			said := complaints(result)
			if len(said) != 1 || !strings.HasPrefix(said[0], "blackscholes: ") {
				t.Fatalf("want one line, got:\n%s", result.Stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(said[0], want) {
					t.Errorf("%q does not say %q", said[0], want)
				}
			}
		})
	}
}

// A disk that is full is told in one line, and the run ends.
func TestFullDisk(t *testing.T) {
	for _, args := range [][]string{
		{"--size", "3000000", "--output", "/dev/full"},
		{"--generate", "300000", "--output", "/dev/full"},
	} {
		result := mpitest.Run(t, 1, nil, path("blackscholes"), args...)
		mpitest.ExpectNothingLeft(t, bin)
		if said := complaints(result); result.Status != 1 || len(said) != 1 || !strings.Contains(said[0], "no space left on device") {
			t.Errorf("%v: exit status %d\n%s", args, result.Status, result.Stderr)
		}
	}
}

// What goes wrong on one rank ends the others too, and is told with the rank's number.
func TestOneRankFails(t *testing.T) {
	script := `if [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ]; then export SUBLET_TRANSPORT=pigeon; fi; exec "$0" "$@"`
	result := mpitest.Run(t, 3, nil, "/bin/sh", "-c", script, path("blackscholes"), "--size", "100", "--offload", "50")
	mpitest.ExpectNothingLeft(t, bin)
	said := complaints(result)
	if result.Status != 1 || len(said) != 1 || !strings.HasPrefix(said[0], "blackscholes: rank 1 of 3: ") {
		t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
	}
}

// A run that fails does not wait for what a pipe may still bring.
func TestFailureBesideAPipe(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(name, os.O_RDWR, 0) // who reads comes to no end
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.WriteString("9223372036854775807\n" + strings.Repeat(good, 10)); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(dir, "missing", "trace")
	result := mpitest.Run(t, 2, nil, path("blackscholes"), "--input", name, "--offload", "0", "--trace", trace)
	mpitest.ExpectNothingLeft(t, bin)
	if said := complaints(result); result.Status != 1 || len(said) != 1 || !strings.Contains(said[0], "--trace: open "+trace) {
		t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
	}
}

// compileC builds a program of C.
func compileC(t *testing.T, source string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	arguments := append([]string{"-O2", "-Wall", "-Wextra", "-Werror", source, "-o", program, "-lm"}, flags...)
	command(t, cmp.Or(os.Getenv("CC"), "cc"), arguments...)
	return program
}

func command(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}
