package commandline_test

import (
	"errors"
	"io"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/commandline"
)

func TestReason(t *testing.T) {
	for _, test := range []struct{ argument, want string }{
		{"--count=abc", "--count abc: it is no whole number"},
		{"-c=1.5", "--count 1.5: it is no whole number"},
		{"--count=99999999999999999999", "--count 99999999999999999999: it is out of range"},
		{"--seed=-1", "--seed -1: it is no whole number"},
		{"--factor=x", "--factor x: it is no number"},
		{"--verify=maybe", "--verify maybe: it is neither true nor false"},
		{"--memory=many", `invalid argument "many" for "--memory" flag: "many" is no amount of memory: write a number and K, M, G or T, as in 512M`},
		{"--nonsense", "unknown flag: --nonsense"},
		{"--count=3", ""},
	} {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		flags.SetOutput(io.Discard)
		flags.IntP("count", "c", 0, "")
		flags.Uint64("seed", 0, "")
		flags.Float64("factor", 0, "")
		flags.Bool("verify", false, "")
		flags.Var(new(bytesize.Value), "memory", "")
		got := ""
		if err := commandline.Reason(flags.Parse([]string{test.argument})); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q; want %q", test.argument, got, test.want)
		}
	}
	if err := commandline.Reason(pflag.ErrHelp); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("help is %v", err)
	}
}
