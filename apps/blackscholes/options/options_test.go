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
	if err != nil {
		t.Fatal(err)
	}
	want := Options{Size: 10_000_000, Seed: 1, Precision: Single, Kernel: Vector, Offload: share.Share{Auto: true}, Executors: 1, Repeat: 1, Report: Table}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShare(t *testing.T) {
	for _, test := range []struct {
		args []string
		want share.Share
	}{
		{[]string{"--offload", "12.5"}, share.Share{Percent: 12.5}},
		{[]string{"--offload", "0", "--kernel", "parsec"}, share.Share{}},
		{[]string{"--offload", "auto"}, share.Share{Auto: true}},
		{[]string{"--kernel", "go"}, share.Share{}}, // executors do not have it
	} {
		if o, err := Parse(test.args); err != nil || o.Offload != test.want {
			t.Errorf("%v: %s, %v", test.args, &o.Offload, err)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for args, wants := range map[string][]string{
		"--offload 101":                      {"--offload", "0 to 100 percent"},
		"--offload -1":                       {"--offload"},
		"--offload NaN":                      {"--offload"},
		"--offload much":                     {"--offload", "auto"},
		"--offload 50 --executors 0":         {"--executors 0"},
		"--executors 2000":                   {"--executors 2000"},
		"--size 0":                           {"--size 0"},
		"--repeat 0":                         {"--repeat 0"},
		"--precision half":                   {"single and double"},
		"--kernel fast":                      {"vector, parsec and go"},
		"--kernel parsec --precision double": {"single precision"},
		"--kernel go --offload 50":           {"--offload 0"},
		"--report xml":                       {"table and json"},
		"--input a --size 5":                 {"--input", "--size"},
		"--input a --seed 5":                 {"--input", "--seed"},
		"--input=":                           {"--input", "empty"},
		"--generate 5":                       {"--output"},
		"--generate 0 --output a":            {"--generate 0"},
		"--generate 5 --output a --check":    {"--generate", "--check"},
		"--binary":                           {"--binary", "--output"},
		"--input a --trace a":                {"--trace a", "--input"},
		"--output a --trace a":               {"--trace a", "--output"},
		"--executor-memory much":             {"--executor-memory"},
		"surplus":                            {"surplus"},
		"--ofload 5":                         {"--ofload"},
	} {
		_, err := Parse(strings.Fields(args))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", args, err)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", args, err, want)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h"} {
		if _, err := Parse([]string{arg}); !errors.Is(err, ErrHelp) {
			t.Errorf("%s: %v", arg, err)
		}
	}
	help := Help()
	for _, want := range []string{"mpirun -n RANKS blackscholes", "--offload share", "(default auto)", "Exit status", "PARSEC"} {
		if !strings.Contains(help, want) {
			t.Errorf("the help does not say %q:\n%s", want, help)
		}
	}
	for line := range strings.Lines(help) {
		if len(line) > 121 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}
