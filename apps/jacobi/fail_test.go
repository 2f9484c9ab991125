package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

// Whatever is wrong, one rank says so in one line, all ranks end, and nothing is left.
func TestFailures(t *testing.T) {
	empty := t.TempDir()
	text := filepath.Join(empty, "libtext.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(empty, "libmissing.so")
	for name, test := range map[string]struct {
		args        []string
		environment []string
		status      int
		want        []string
	}{
		"wrong usage":                 {[]string{"--offload", "150"}, nil, 2, []string{"150", "--offload", "0 to 100 percent", "--help"}},
		"unknown option":              {[]string{"--ofload", "50"}, nil, 2, []string{"--ofload"}},
		"no library":                  {[]string{"--library", missing}, nil, 1, []string{missing}},
		"no ELF file":                 {[]string{"--library", text}, nil, 1, []string{text}},
		"a library of something else": {[]string{"--library", path("libother.so")}, nil, 1, []string{"jacobi_sweep", "something_else", "libother.so"}},
		"an output cut short":         {[]string{"--library", path("libshort.so")}, nil, 1, []string{"jacobi_sweep", "executor 0", "returned 8 bytes for items 17 to "}},
		"no programs":                 {nil, []string{"SUBLET_BIN=" + empty}, 1, []string{"SUBLET_BIN", empty}},
		"no such transport":           {nil, []string{"SUBLET_TRANSPORT=pigeon"}, 1, []string{"pigeon", "ring"}},
		"not converging":              {[]string{"--max-iterations", "5"}, nil, 1, []string{"not converged after 5 iterations"}},
		"diverging":                   {[]string{"--dominance", "0.8"}, nil, 1, []string{"diverges: the spectral radius of the iteration matrix is about 1.25, as 2", " iterations show", "--dominance above 1"}},
		"too large":                   {[]string{"--size", "9000000", "--verify=false"}, nil, 1, []string{"GiB"}},
		"no folder for the solution":  {[]string{"--output", missing + "/x.mtx"}, nil, 1, []string{"--output " + missing}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--size", "100", "--executors", "2"}, test.args...)
			result := mpitest.Run(t, 3, test.environment, path("jacobi"), args...)
			expectNothingLeft(t)
			if result.Status != test.status || result.Stdout != "" {
				t.Errorf("exit status %d, want %d; standard output %q", result.Status, test.status, result.Stdout)
			}
			said := complaints(result)
			if len(said) != 1 || !strings.HasPrefix(said[0], "jacobi: ") {
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

// What goes wrong on one rank ends the others too, and is told with the rank's number.
func TestOneRankFails(t *testing.T) {
	script := `if [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ]; then export SUBLET_TRANSPORT=pigeon; fi; exec "$0" "$@"`
	result := mpitest.Run(t, 3, nil, "/bin/sh", "-c", script, path("jacobi"), "--size", "100")
	expectNothingLeft(t)
	said := complaints(result)
	if result.Status != 1 || len(said) != 1 || !strings.HasPrefix(said[0], "jacobi: rank 1 of 3: ") {
		t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
	}
}
