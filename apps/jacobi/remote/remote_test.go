package remote

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/internal/matrixmarket"
	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// Whether its executors are on two other hosts or on its own, the solver finds gonum's direct solution.
func TestExecutorsOnOtherHosts(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "1")
	c.Lend(t, hosts.New(t), "--name", "b", "--cores", "1")
	here, err := os.Hostname()
	check(t, err)

	const side, n = 16, 250
	for _, s := range []system{newSystem(t, plate(side), true, side*side), newSystem(t, full(n), false, n)} {
		form := map[bool]string{true: "sparse", false: "dense"}[s.sparse]
		for ranks := 1; ranks <= 3; ranks++ {
			t.Run(fmt.Sprintf("%s, %d ranks, other hosts", form, ranks), func(t *testing.T) {
				r := s.solve(t, ranks, c.Dir)
				if r.Transport == nil || *r.Transport != "ofi-write" || *r.Provider != "tcp" {
					t.Errorf("reached over %s, %s", name(r.Transport), name(r.Provider))
				}
				expectNodes(t, r, "a", "b")
				hosts.Eventually(t, "both cores", func() bool { free, _ := c.Free(t); return free == 2 })
			})
			t.Run(fmt.Sprintf("%s, %d ranks, embedded", form, ranks), func(t *testing.T) {
				r := s.solve(t, ranks, t.TempDir()) // where no resource manager is
				if r.Transport == nil || *r.Transport != "ring" {
					t.Errorf("reached over %s", name(r.Transport))
				}
				expectNodes(t, r, here)
			})
		}
	}
}

// solve runs the solver on the test's host, with two executors at least, and compares the solution
// that it writes.
func (s *system) solve(t *testing.T, ranks int, runDirectory string) report.Report {
	t.Helper()
	each := 1
	if ranks == 1 {
		each = 2
	}
	output := filepath.Join(t.TempDir(), "x.mtx")
	result := mpitest.Run(t, ranks, []string{"SUBLET_DIR=" + runDirectory}, filepath.Join(bin, "jacobi"),
		"--matrix", s.matrix, "--rhs", s.rhs, "--executors", strconv.Itoa(each), "--tolerance", "1e-13", "--output", output, "--report", "json")
	if result.Status != 0 {
		t.Fatalf("exit status %d\n%s", result.Status, result.Stderr)
	}
	var r report.Report
	check(t, json.Unmarshal([]byte(result.Stdout), &r))
	if r.Ranks != ranks || r.Executors != each*ranks || r.Lost != 0 || r.Sparse != s.sparse || r.N != len(s.direct) {
		t.Errorf("%+v", r)
	}
	for _, e := range r.Leased {
		if e.Rows == 0 {
			t.Errorf("an executor has nothing to do: %+v", e)
		}
	}
	file, err := os.Open(output)
	check(t, err)
	defer file.Close()
	x, err := matrixmarket.ReadVector(file, output)
	check(t, err)
	if len(x) != len(s.direct) {
		t.Fatalf("%d numbers, want %d", len(x), len(s.direct))
	}
	for i := range x {
		if !(math.Abs(x[i]-s.direct[i]) <= 1e-10) {
			t.Fatalf("x[%d] is %v, and %v by the direct solution", i, x[i], s.direct[i])
		}
	}
	return r
}

// expectNodes compares where executors were.
func expectNodes(t *testing.T, r report.Report, want ...string) {
	t.Helper()
	var nodes []string
	for _, e := range r.Leased {
		nodes = append(nodes, e.Node)
	}
	slices.Sort(nodes)
	if diff := cmp.Diff(want, slices.Compact(nodes)); diff != "" {
		t.Errorf("executors were on (-want +got):\n%s", diff)
	}
}

func name(s *string) string {
	if s == nil {
		return "nothing"
	}
	return *s
}
