package manager

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// topology writes the lists of hardware threads as /sys has them.
func topology(t *testing.T, siblings ...string) string {
	t.Helper()
	folder := t.TempDir()
	for cpu, list := range siblings {
		path := filepath.Join(folder, "cpu"+strconv.Itoa(cpu), "topology")
		check(t, os.MkdirAll(path, 0o755))
		check(t, os.WriteFile(filepath.Join(path, "thread_siblings_list"), []byte(list+"\n"), 0o644))
	}
	return folder
}

func TestPhysicalCores(t *testing.T) {
	pairs := topology(t, "0,2", "1,3", "0,2", "1,3")
	for name, c := range map[string]struct {
		folder  string
		cpus    []int
		want    []core
		partial []int
	}{
		"no threads":      {topology(t, "0", "1"), []int{0, 1}, []core{{0, []int{0}}, {1, []int{1}}}, nil},
		"pairs":           {pairs, []int{0, 1, 2, 3}, []core{{0, []int{0, 2}}, {1, []int{1, 3}}}, nil},
		"neighbors":       {topology(t, "0-1", "0-1"), []int{0, 1}, []core{{0, []int{0, 1}}}, nil},
		"half of a core":  {pairs, []int{0, 1, 3}, []core{{1, []int{1, 3}}}, []int{0}},
		"no topology":     {t.TempDir(), []int{4, 7}, []core{{4, []int{4}}, {7, []int{7}}}, nil},
		"other half only": {pairs, []int{2}, nil, []int{2}},
	} {
		set := bound(0, c.cpus...).cpus
		got, partial, err := physicalCores(&set, c.folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got) + cmp.Diff(c.partial, partial); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	set := bound(0, 0).cpus
	if _, _, err := physicalCores(&set, topology(t, "what")); err == nil {
		t.Error("a list that is none was read")
	}
}

func TestParseCPUs(t *testing.T) {
	got, err := parseCPUs("0-2,8,10-11")
	check(t, err)
	if diff := cmp.Diff([]int{0, 1, 2, 8, 10, 11}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "a", "1-", "3-1", "-1", "0-99999999", "1,,2"} {
		if cpus, err := parseCPUs(bad); err == nil {
			t.Errorf("%q was read as %v", bad, cpus)
		}
	}
}

// The job's CPUs do not depend on the affinity that we inherited.
func TestCpusetIsNotTheAffinity(t *testing.T) {
	whole, err := cpuset()
	check(t, err)
	done := make(chan []int)
	go func() {
		runtime.LockOSThread() // the thread ends with its narrow affinity
		narrow := bound(0, cpusOf(&whole)[0]).cpus
		_ = unix.SchedSetaffinity(0, &narrow)
		set, _ := cpuset()
		done <- cpusOf(&set)
	}()
	if diff := cmp.Diff(cpusOf(&whole), <-done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	got, err := environment(
		[]string{"PATH=/bin", "SUBLET_LOG=debug", "OMPI_COMM_WORLD_RANK=1", "PMIX_ID=1", "PMI_FD=3", "SLURM_JWT=x", "OMP_NUM_THREADS=64", "=odd", "HOME=/root"},
		[]string{"HOME=/tmp", "MKL_NUM_THREADS=2", "SUBLET_X=given"})
	check(t, err)
	want := []string{"PATH=/bin", "OMP_NUM_THREADS=1", "HOME=/tmp", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=2", "SUBLET_X=given"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"X", "=x", "A=b\x00c"} {
		if _, err := environment(nil, []string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
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
