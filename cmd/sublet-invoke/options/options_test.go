package options_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

func read(args ...string) (*options.Options, error) {
	flags := pflag.NewFlagSet("invoke", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := options.Declare(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	err := o.Read(flags.Args())
	return o, err
}

// What one program was asked for, the other understands to be the same: functions may have any
// name, and files, too.
func TestArgumentsSayTheSame(t *testing.T) {
	for _, args := range [][]string{
		{"f", "-l", "lib.so"},
		{"--library", "lib.so", "--", "--help"},
		{"f", "-l", "-l", "--in=-", "--out", "a b=c", "--out-size", "1.5KiB", "--repeat=7", "--executors", "2"},
		{"f", "--library=x", "--transport", "ofi", "--timeout", "1h", "--wait", "00:01:30", "-o", "json", "--dir", "d"},
		{"f", "--library=x", "--oversubscribe=false"},
		{"f", "--library=x", "--cores-per-executor=4", "--oversubscribe=false"},
		{"f", "--library=x", "--oversubscribe"},
		{"f", "--library=x", "--out-size=0"},
	} {
		first, err := read(args...)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		second, err := read(first.Arguments()...)
		if err != nil {
			t.Errorf("%q became %q: %v", args, first.Arguments(), err)
			continue
		}
		if !slices.Equal(first.Arguments(), second.Arguments()) || first.Capacity(99) != second.Capacity(99) || first.Oversubscribe != second.Oversubscribe {
			t.Errorf("%q became %+v, and that %+v", args, first, second)
		}
	}
}

func TestCoresPerExecutor(t *testing.T) {
	for flags, want := range map[string]int{"": 1, "--cores-per-executor=1 --oversubscribe": 1, "--cores-per-executor 8": 8} {
		o, err := read(append([]string{"f", "-l", "x"}, strings.Fields(flags)...)...)
		if err != nil || o.Cores != want {
			t.Errorf("%q: %d cores each, want %d; %v", flags, o.Cores, want, err)
		}
	}
	for flags, want := range map[string]string{
		"--cores-per-executor=0":                 "--cores-per-executor 0: 1 to",
		"--cores-per-executor=-3":                "--cores-per-executor -3: 1 to",
		"--cores-per-executor=2 --oversubscribe": "hold each other up; choose one",
	} {
		if _, err := read(append([]string{"f", "-l", "x"}, strings.Fields(flags)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", flags, err, want)
		}
	}
}

func TestOversubscribeHasThreeAnswers(t *testing.T) {
	for flag, want := range map[string]options.Choice{"--repeat=1": options.Unsaid, "--oversubscribe": options.Yes, "--oversubscribe=false": options.No} {
		o, err := read("f", "-l", "x", flag)
		if err != nil || o.Oversubscribe != want {
			t.Errorf("%s: %v, want %v; %v", flag, o.Oversubscribe, want, err)
		}
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		flag        string
		input, want int
	}{
		{"--repeat=1", 0, 64 << 10},
		{"--repeat=1", 65 << 10, 65 << 10},
		{"--out-size=4KiB", 65 << 10, 4096},
		{"--out-size=0", 5, 0},
	} {
		o, err := read("f", "-l", "x", c.flag)
		if err != nil || o.Capacity(c.input) != c.want {
			t.Errorf("%s for %d bytes: %d, want %d; %v", c.flag, c.input, o.Capacity(c.input), c.want, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{"30s": "30s", "1h30m": "1h30m0s", "01:30:00": "1h30m0s", "00:00:05": "5s", "100:00:00": "100h0m0s", "250ms": "250ms"} {
		var got options.Duration
		if err := got.Set(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, want %s; %v", text, &got, want, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "1:2:3", "00:60:00", "10:00", "soon"} {
		var got options.Duration
		if err := got.Set(text); err == nil || !strings.Contains(err.Error(), "30s") {
			t.Errorf("%q is read as %s, %v", text, &got, err)
		}
	}
}
