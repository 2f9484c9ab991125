package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// bin has the programs and the function library, built as make builds them: what is measured is real.
var bin string

func TestMain(m *testing.M) {
	testscript.Main(built{m}, map[string]func(){"sublet-bench": func() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }})
}

// built runs the tests when what they run is built. The program as a command of scripts needs no building.
type built struct{ *testing.M }

func (b built) Run() (code int) { return buildtest.Main(b.M, build) }

func build(dir string) error {
	bin = dir
	err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor", "cmd/sublet-bench")
	if err == nil {
		_, err = buildtest.Library(bin, library, "-std=gnu11", "-fvisibility=hidden",
			"../../internal/fabric/floor/*.c", "../../internal/fabric/floor/peer/*.c", "-ldl", "-lpthread")
	}
	return err
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SUBLET_BIN", bin)
			env.Setenv("LIBRARY", filepath.Join(bin, library))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home")) // each its own; what is made there goes with it
			env.Setenv("SUBLET_DIR", env.WorkDir)                  // without a resource manager
			if os.Getenv("GORACE") == "" {                         // else each command would sleep for a second at its end
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

// Every command explains itself, and shows how.
func TestCommandsAreDescribed(t *testing.T) {
	for _, c := range commands() {
		if c.summary == "" || c.setUp == nil || len(c.examples) == 0 && c.name != "version" {
			t.Errorf("command %s lacks a summary, an example or its set-up", c.name)
		}
	}
}
