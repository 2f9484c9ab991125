package slurm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The right-hand sides are what scontrol show hostnames of Slurm 22.05 prints, but for the name that goes on
// behind its brackets, which it refuses.
func TestExpand(t *testing.T) {
	for list, want := range map[string]string{
		"n1":                   "n1",
		"n[1-4]":               "n1 n2 n3 n4",
		"n[1-3,08],login":      "n1 n2 n3 n08 login",
		"n[08-11]":             "n08 n09 n10 n11",
		"n[9-11]":              "n9 n10 n11",
		"n[099-101]":           "n099 n100 n101",
		"n3,n1,n3":             "n3 n1 n3",
		"n[3,1,2]":             "n3 n1 n2",
		"r[1-2]n[1-3]":         "r1n1 r1n2 r1n3 r2n1 r2n2 r2n3",
		"gpu-[0-1].cluster,x1": "gpu-0.cluster gpu-1.cluster x1",
		"[1-2]":                "1 2",
		"a_b[7]":               "a_b7",
	} {
		got, err := Expand(list)
		if err != nil {
			t.Errorf("%s: %v", list, err)
		}
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	for list, reason := range map[string]string{
		"":                       "an empty name",
		"n1,":                    "an empty name",
		",n1":                    "an empty name",
		"n[1-2":                  "a [ without its ]; quote the list",
		"n1]":                    "a ] without its [",
		"n[1[2]]":                "a bracket within brackets",
		"n[]":                    `"" is no number`,
		"n[1-]":                  `"" is no number`,
		"n[a]":                   `"a" is no number`,
		"n[1-2-3]":               `"2-3" is no number`,
		"n[-1]":                  `"" is no number`,
		"n[3-1]":                 "the range 3-1 runs backwards",
		"n[1234567890123456789]": "at most 18 digits",
		"n[0-65536]":             "more than 65536 hosts",
		"n[0-65535],m":           "more than 65536 hosts",
		"n[0-65535]" + strings.Repeat("x", 1<<20): "hosts have at most 253", // at once, not when it is there 65536 times
		"a[0-255]b[0-256]":                        "more than 65536 hosts",
		"n[0-999999999999999999]":                 "more than 65536 hosts",
		"-oProxyCommand=x":                        `has a '-'`,
		"n 1":                                     `has a ' '`,
		"n1;id":                                   `has a ';'`,
		"n$x":                                     `has a '$'`,
		strings.Repeat("n", 254):                  "254 characters",
		"[1-2]" + "-" + "[1]\x00":                 `has a '\x00'`,
		"n[1-2]" + "/etc":                         `has a '/'`,
	} {
		if names, err := Expand(list); err == nil {
			t.Errorf("%q was read as %q", list, names)
		} else if !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v; it should say %s", list, err, reason)
		}
	}
}

// The right-hand sides are what scontrol show hostlist of Slurm 22.05 prints.
func TestFold(t *testing.T) {
	for names, want := range map[string]string{
		"":                     "",
		"n1":                   "n1",
		"login":                "login",
		"n1 n2 n3 n4":          "n[1-4]",
		"n1 n2 n4 n5":          "n[1-2,4-5]",
		"n9 n10 n11":           "n[9-11]",
		"n08 n09 n10":          "n[08-10]",
		"n99 n100":             "n[99-100]",
		"n099 n100":            "n[099-100]",
		"n9 n010":              "n[9,010]",
		"n1 m1 n2":             "n1,m1,n2",
		"n3 n1 n2":             "n[3,1-2]",
		"n1 n1":                "n[1,1]",
		"r1n1 r1n2 r2n1":       "r1n[1-2],r2n1",
		"a-1.x a-2.x":          "a-1.x,a-2.x",
		"login n1 n2 0 1":      "login,n[1-2],[0-1]",
		"n999999999999999999":  "n999999999999999999",
		"n1234567890123456789": "n1234567890123456789",
	} {
		if got := Fold(strings.Fields(names)); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
}

// Whatever is read can be folded and read again, and nothing read is dangerous on a command line.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"n[1-4]", "n[1-3,08],login", "r[1-2]n[01-03]", "n9,n010,n11", "[0-1]", "n[1", "n[3-1]", "-n", "n[99999999999999999-100000000000000001]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := Expand(list)
		if err != nil {
			return
		}
		if len(names) == 0 || len(names) > MaxHosts {
			t.Fatalf("%d names", len(names))
		}
		for _, name := range names {
			if name == "" || name[0] == '-' || strings.ContainsAny(name, " \t\n'\"\\$`;&|<>()*?[]/,") {
				t.Fatalf("the name %q", name)
			}
		}
		again, err := Expand(Fold(names))
		if err != nil {
			t.Fatalf("%q folds to %q: %v", list, Fold(names), err)
		}
		if diff := cmp.Diff(names, again); diff != "" {
			t.Errorf("%q folds to %q (-want +got):\n%s", list, Fold(names), diff)
		}
	})
}
