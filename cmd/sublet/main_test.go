package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/internal/buildtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sublet": func() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }})
}

// What the scripts invoke is real: the programs and a function library are built first.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor", "cmd/sublet-invoke")
	if err != nil {
		t.Fatal(err)
	}
	library, err := buildtest.Library(bin, "libfunctions.so", "testdata/functions.c")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SUBLET_BIN", bin)
			env.Setenv("LIBRARY", library)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home")) // each its own; what is made there goes with it
			if os.Getenv("GORACE") == "" {                         // else each command would sleep for a second at its end
				env.Setenv("GORACE", "atexit_sleep_ms=10")
			}
			return nil
		},
		Cmds: scriptCommands,
	})
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"version", "version", 0}, {"versio", "version", 1}, {"xersionx", "version", 2}, {"", "help", 4}, {"hlep", "help", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Every command explains itself.
func TestCommandsAreDescribed(t *testing.T) {
	for _, c := range everyCommand() {
		if c.summary == "" || (c.setUp == nil) != (len(c.commands) > 0) || !c.internal && len(c.examples) == 0 && len(c.commands) == 0 {
			t.Errorf("command %s lacks a summary, an example or its set-up", c.name)
		}
		flagsOf(c).VisitAll(func(flag *pflag.Flag) {
			if kind, _ := pflag.UnquoteUsage(flag); kind != strings.ToUpper(kind) {
				t.Errorf("command %s, flag --%s: its value is called %s; a name in capitals says what it is", c.name, flag.Name, kind)
			}
		})
		if strings.Contains(flagsOf(c).FlagUsages(), ") (default") {
			t.Errorf("command %s tells a default twice:\n%s", c.name, flagsOf(c).FlagUsages())
		}
	}
}
