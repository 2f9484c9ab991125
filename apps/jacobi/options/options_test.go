package options

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/internal/share"
)

func TestDefaults(t *testing.T) {
	got, err := Parse(nil)
	want := Options{
		Size: 1000, Seed: 1, Dominance: 1.1, Offload: share.Share{Percent: 50}, Executors: 1,
		Tolerance: 1e-10, MaxIterations: 10000, Report: Table,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestParse(t *testing.T) {
	got, err := Parse(strings.Fields("--size 7 --seed 18446744073709551615 --dominance 2 --offload 33.3 --executors 3 --library l.so " +
		"--tolerance 1e-9 --iterations 5 --compare --verify --output x.mtx --report json"))
	want := Options{
		Size: 7, Seed: 1<<64 - 1, Dominance: 2, Offload: share.Share{Percent: 33.3}, Executors: 3, Library: "l.so",
		Tolerance: 1e-9, MaxIterations: 10000, Iterations: 5, Compare: true, Verify: VerifyAlways, Output: "x.mtx", Report: JSON,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestMatrix(t *testing.T) {
	o, err := Parse(strings.Fields("--matrix A.mtx --rhs b.mtx"))
	if err != nil || o.Matrix != "A.mtx" || o.RHS != "b.mtx" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestAuto(t *testing.T) {
	o, err := Parse(strings.Fields("--offload auto --trace t.json"))
	if err != nil || o.Offload != (share.Share{Auto: true}) || o.Trace != "t.json" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestNoExecutors(t *testing.T) {
	if _, err := Parse(strings.Fields("--offload 0 --executors 0")); err != nil {
		t.Error(err)
	}
}

// One line each, which names the option and says what it may be.
func TestWrongUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--offload 150":                       `"150" for "--offload"`,
		"--offload -1":                        `"-1" for "--offload"`,
		"--offload NaN":                       "auto, or 0 to 100 percent",
		"--offload half":                      `"half"`,
		"--size 0":                            "--size 0: ",
		"--size -5":                           "--size -5: ",
		"--size 99999999999":                  "1 to 536870912 unknowns",
		"--size 1e3":                          `"1e3"`,
		"--seed -1":                           `"-1"`,
		"--executors 0":                       "--offload 0",
		"--executors -2 --offload 0":          "1 to 1024",
		"--executors 1025":                    "1 to 1024",
		"--dominance 0":                       "--dominance 0: ",
		"--dominance NaN":                     "--dominance NaN: ",
		"--tolerance 0":                       "--tolerance 0: ",
		"--tolerance 1e-17":                   "1e-14",
		"--tolerance 1":                       "--tolerance 1: ",
		"--tolerance NaN":                     "--tolerance NaN: ",
		"--max-iterations 0":                  "--max-iterations 0: ",
		"--iterations 0":                      "--iterations 0: ",
		"--iterations -3":                     "--iterations -3: ",
		"--iterations 5 --max-iterations 10":  "choose one",
		"--matrix A.mtx --size 10":            "choose one",
		"--matrix A.mtx --seed 1":             "choose one",
		"--matrix A.mtx --dominance 2":        "choose one",
		"--rhs b.mtx":                         "--rhs without --matrix",
		"--matrix=":                           "an empty name",
		"--report xml":                        "table and json",
		"--report":                            "report",
		"--compare --offload 0":               "nothing to compare",
		"--offload auto --executors 0":        "--offload 0",
		"--no-such-option":                    "--no-such-option",
		"--executor-memory much":              `"much" is no amount of memory`,
		"stray":                               `"stray"`,
		"--offload 20 --compare -- elsewhere": `"elsewhere"`,
	} {
		_, err := Parse(strings.Fields(args))
		if err == nil || errors.Is(err, ErrHelp) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line with %q", args, err, want)
		}
	}
}

func TestVerifies(t *testing.T) {
	for args, want := range map[string]bool{
		"--size 2500":                           true,
		"--size 2501":                           false,
		"--size 2501 --verify":                  true,
		"--size 10 --verify=false":              false,
		"--size 10 --iterations 3":              false,
		"--size 10 --iterations 3 --verify":     true,
		"--size 10 --verify=true --report json": true,
	} {
		o, err := Parse(strings.Fields(args))
		if err != nil || o.Verifies() != want {
			t.Errorf("%s: %v, %v", args, o.Verifies(), err)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h"} {
		if _, err := Parse([]string{arg}); !errors.Is(err, ErrHelp) {
			t.Errorf("%s: %v", arg, err)
		}
	}
	var o Options
	var report string
	var verify bool
	help := Help()
	for _, name := range []string{"size", "seed", "matrix", "rhs", "offload", "executors", "executor-memory", "iterations", "max-iterations", "output", "trace", "report", "verify"} {
		if flagSet(&o, &report, &verify).Lookup(name) == nil || !strings.Contains(help, "--"+name+" ") {
			t.Errorf("--%s is missing from\n%s", name, help)
		}
	}
	for line := range strings.Lines(help) {
		if len(line) > 105 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}
