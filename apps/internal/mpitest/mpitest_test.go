package mpitest

import (
	"slices"
	"testing"
)

func TestLauncher(t *testing.T) {
	for _, c := range []struct{ mpirun, mpicc, want string }{
		{"", "", "mpirun"},
		{"", "mpicc", "mpirun"},
		{"", "mpicc.mpich", "mpirun.mpich"},
		{"", "/opt/mpicc/bin/mpicc", "/opt/mpicc/bin/mpirun"},
		{"", "cc", "mpirun"},
		{"srun", "mpicc.mpich", "srun"},
	} {
		t.Setenv("MPIRUN", c.mpirun)
		t.Setenv("MPICC", c.mpicc)
		if got := Launcher(); got != c.want {
			t.Errorf("MPIRUN=%s MPICC=%s: %s, want %s", c.mpirun, c.mpicc, got, c.want)
		}
	}
}

// A program of no MPI is not taken for one of any.
func TestCheckNeedsAnMPI(t *testing.T) {
	if err := Check("/proc/self/exe"); err == nil {
		t.Error("this test links no MPI")
	}
}

func TestSaid(t *testing.T) {
	dashes := "--------------------------------------------------------------------------\n"
	r := Result{Stderr: "jacobi: A.mtx:1: wrong\n" + dashes + "Primary job terminated\n" + dashes +
		"[warn] Epoll MOD(1) on fd 24 failed. Old events were 6\n[warn] of the program\n"}
	if got, want := r.Said(), []string{"jacobi: A.mtx:1: wrong", "[warn] of the program"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
