package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sublet-bench": func() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }})
}

// What the scripts measure is real: the programs and the function library are built as make builds
// them, into a folder of the test's.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	build(t, bin)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SUBLET_BIN", bin)
			env.Setenv("LIBRARY", filepath.Join(bin, library))
			env.Setenv("SUBLET_DIR", env.WorkDir) // without a resource manager
			if os.Getenv("GORACE") == "" {        // else each command would sleep for a second at its end
				env.Setenv("GORACE", "atexit_sleep_ms=10")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status runs a program that is to end with an exit status: status 2 sublet-bench frobnicate
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM [ARGS]")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit status %d, not %s", code, args[0])
	}
}

func build(t *testing.T, dir string) {
	t.Helper()
	run := func(environment []string, name string, args ...string) {
		t.Helper()
		command := exec.Command(name, args...)
		command.Env = append(os.Environ(), environment...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command.Args, err, out)
		}
	}
	run([]string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-o", dir, "../sublet")
	run(nil, "go", "build", "-buildvcs=false", "-o", dir, "../sublet-executor")
	header, err := os.ReadFile("../../internal/fabric/function.h")
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(dir, "include", "sublet")
	if err := os.MkdirAll(include, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(include, "function.h"), header, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-std=gnu11", "-O2", "-fvisibility=hidden", "-fPIC", "-shared", "-I", filepath.Join(dir, "include"), "-o", filepath.Join(dir, library)}
	for _, pattern := range []string{"../../internal/fabric/floor/*.c", "../../internal/fabric/floor/peer/*.c"} {
		sources, err := filepath.Glob(pattern)
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s: %q, %v", pattern, sources, err)
		}
		args = append(args, sources...)
	}
	run(nil, "cc", append(args, "-ldl", "-lpthread")...)
}

// Every command explains itself, and shows how.
func TestCommandsAreDescribed(t *testing.T) {
	for _, c := range commands() {
		if c.summary == "" || c.setUp == nil || len(c.examples) == 0 && c.name != "version" {
			t.Errorf("command %s lacks a summary, an example or its set-up", c.name)
		}
	}
}
