package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/resources/api"
)

func TestAccountOfProcess(t *testing.T) {
	for _, c := range []struct{ ours, slurms, want string }{
		{"", "", "default"}, {"", "phys", "phys"}, {"astro", "phys", "astro"}, {"astro", "", "astro"},
	} {
		t.Setenv(api.AccountVariable, c.ours)
		t.Setenv("SLURM_JOB_ACCOUNT", c.slurms)
		if got := api.Account(); got != c.want {
			t.Errorf("SUBLET_ACCOUNT=%q SLURM_JOB_ACCOUNT=%q: %q, want %q", c.ours, c.slurms, got, c.want)
		}
	}
}

func TestCheckAccount(t *testing.T) {
	for _, good := range []string{"default", "astro-2026", "a", "u_1+x@site:part.2", strings.Repeat("a", 64)} {
		if err := api.CheckAccount(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "a b", "a/b", "ä", "a\n", "a,b", strings.Repeat("a", 65)} {
		if err := api.CheckAccount(bad); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
