package manager

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	got := environment(
		[]string{"PATH=/bin", "SUBLET_LOG=debug", "OMPI_COMM_WORLD_RANK=1", "PMIX_ID=1", "PMI_FD=3", "SLURM_JWT=x", "OMP_NUM_THREADS=64", "=odd", "HOME=/root"},
		[]string{"HOME=/tmp", "MKL_NUM_THREADS=2", "SUBLET_X=given"}, 1)
	want := []string{"PATH=/bin", "OMP_NUM_THREADS=1", "HOME=/tmp", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=2", "SUBLET_X=given"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"X", "=x", "A=b\x00c"} {
		if checkEnvironment([]string{"A=b", bad}) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	want = []string{"OMP_NUM_THREADS=12", "OPENBLAS_NUM_THREADS=12", "MKL_NUM_THREADS=3"}
	if diff := cmp.Diff(want, environment([]string{"OMP_NUM_THREADS=64"}, []string{"MKL_NUM_THREADS=3"}, 12)); diff != "" {
		t.Errorf("of twelve cores (-want +got):\n%s", diff)
	}
}

func TestClaims(t *testing.T) {
	const core = 2_000_001
	a, b := newClaims(os.Getuid()), newClaims(os.Getuid())
	defer a.dropAll()
	defer b.dropAll()
	take := func(c *claims, want bool) {
		t.Helper()
		if got, err := c.take(core); err != nil || got != want {
			t.Errorf("taken: %v (%v), want %v", got, err, want)
		}
	}
	take(a, true)
	take(a, true)
	take(b, false)
	b.drop(core)
	a.drop(core)
	take(b, true)
	other := newClaims(os.Getuid() + 1)
	defer other.dropAll()
	take(other, true)
}
