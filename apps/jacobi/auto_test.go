package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// lasting is so many iterations that leasing pays.
const lasting = "--iterations 3000 --verify"

// With a share that is found by measuring the solution is that of one rank alone, in every shape.
func TestAuto(t *testing.T) {
	const n = 700
	matrix := writeFile(t, "A.mtx", sparseFile(3000))
	for name, system := range map[string]string{"dense": "--size " + strconv.Itoa(n), "sparse": "--matrix " + matrix + " --verify=false"} {
		args := append(strings.Fields(lasting), strings.Fields(system)...)
		_, alone := solveBy(t, 1, nil, append(args, "--offload", "0")...)
		for _, run := range []struct{ ranks, executors int }{{1, 1}, {3, 1}, {1, 2}} {
			t.Run(fmt.Sprintf("%s, %d ranks, %d executors each", name, run.ranks, run.executors), func(t *testing.T) {
				r, x := solveBy(t, run.ranks, nil, append(args, "--offload", "auto", "--executors", strconv.Itoa(run.executors))...)
				if r.OffloadPercent != nil || len(r.Divisions) != run.ranks || r.Lost != 0 {
					t.Errorf("%+v", r)
				}
				expectDivided(t, &r)
				expectSame(t, x, alone)
			})
		}
	}
}

// expectDivided expects every row of every iteration to have been computed once.
func expectDivided(t *testing.T, r *report.Report) {
	t.Helper()
	var byExecutors int64
	for _, d := range r.Divisions {
		if want := int64(d.Rows) * int64(r.Iterations+1); d.RowsDone+d.RowsDoneByExecutors != want {
			t.Errorf("rank %d: %d rows computed here and %d by executors, together not %d", d.Rank, d.RowsDone, d.RowsDoneByExecutors, want)
		}
		byExecutors += d.RowsDoneByExecutors
	}
	for _, e := range r.Leased {
		byExecutors -= e.RowsDone
		if e.RowsDone > 0 && !(e.Seconds > 0) {
			t.Errorf("%d rows in no time: %+v", e.RowsDone, e)
		}
	}
	if byExecutors != 0 {
		t.Errorf("%d rows were computed by nobody in particular: %+v", byExecutors, r.Leased)
	}
}

// One rank with a core to spare leases an executor and gives it rows.
func TestAutoOffloads(t *testing.T) {
	r, _ := solveBy(t, 1, nil, append(strings.Fields(lasting), "--size", "1000", "--offload", "auto")...)
	if r.Executors != 1 || r.Leased[0].RowsDone == 0 || !(r.Divisions[0].LeaseSeconds > 0) || !(r.Share > 0) || r.Oversubscribed {
		t.Errorf("%+v", r)
	}
}

// Short runs lease nothing, and start no helper that could.
func TestAutoLeasesNothing(t *testing.T) {
	environment, starts := mpitest.CountHelpers(t, bin)
	for _, ranks := range []int{1, 2} {
		mpitest.Eventually(t, 20*time.Second, func() (bool, string) {
			before := starts()
			r, _ := solveBy(t, ranks, environment, "--size", "50", "--iterations", "20", "--offload", "auto")
			if took := r.Seconds + r.SetupSeconds; took > 0.02 { // it may be right to lease then
				return false, fmt.Sprintf("20 iterations take %g s", took)
			}
			if started := starts() - before; r.Executors != 0 || r.Share != 0 || r.Transport != nil || started != 0 {
				t.Errorf("%d ranks: %d helpers were started; %+v", ranks, started, r)
			}
			return true, ""
		})
	}
	before := starts()
	solveBy(t, 1, environment, "--size", "50", "--iterations", "20", "--offload", "50")
	if started := starts() - before; started != 1 {
		t.Errorf("half of the rows on executors, of %d helpers", started)
	}
}

// Where no executors are to be had the ranks compute everything, and say so once.
func TestAutoWithoutExecutors(t *testing.T) {
	for _, ranks := range []int{1, 3} {
		refused := func(d report.Division) bool { return strings.Contains(d.Off, "1024 executors") }
		for iterations := 3000; ; iterations *= 4 { // a busy machine may take longer to refuse than to iterate
			result := mpitest.Run(t, ranks, nil, path("jacobi"), "--iterations", strconv.Itoa(iterations), "--verify",
				"--size", "300", "--offload", "auto", "--executors", "1024", "--report", "json")
			expectNothingLeft(t)
			var r report.Report
			if err := json.Unmarshal([]byte(result.Stdout), &r); result.Status != 0 || err != nil {
				t.Fatalf("exit status %d, %v\n%s", result.Status, err, result.Stderr)
			}
			if r.Executors != 0 || r.Share != 0 || !*r.Verified {
				t.Errorf("%+v", r)
			}
			expectDivided(t, &r)
			if slices.ContainsFunc(r.Divisions, func(d report.Division) bool { return !refused(d) }) && iterations < 200_000 {
				continue
			}
			if !slices.ContainsFunc(r.Divisions, refused) || strings.Count(result.Stderr, "no executors can be leased") != 1 {
				t.Errorf("after %d iterations it says\n%s\n%+v", iterations, result.Stderr, r)
			}
			break
		}
	}
}

// An executor that is killed costs no more than time.
func TestAutoExecutorIsKilled(t *testing.T) {
	j := startJob(t, 1, 1, append(strings.Fields(lasting), "--size", "1400", "--offload", "auto", "--report", "json")...)
	j.kill("sublet-executor")
	r := j.report()
	j.expectNoTraces()
	if r.Lost == 0 || !*r.Verified || len(r.Losses) == 0 || !strings.Contains(r.Losses[0].Text, "SIGKILL") {
		t.Errorf("%+v\n%s", r, &j.stderr)
	}
	expectDivided(t, &r)
}

// Rows go back from an executor that has become slow, and the timeline says so.
func TestAutoExecutorBecomesSlow(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace.json")
	r, _ := solveBy(t, 1, nil, append(strings.Fields(lasting), "--size", "1000", "--offload", "auto", "--library", path("libslowing.so"), "--trace", trace)...)
	if r.Executors != 1 || r.ShareLast > 0.3 || !*r.Verified {
		t.Errorf("%+v", r)
	}
	var timeline struct {
		TraceEvents []struct {
			Phase string `json:"ph"`
			Row   int    `json:"tid"`
		} `json:"traceEvents"`
	}
	text, err := os.ReadFile(trace)
	if err == nil {
		err = json.Unmarshal(text, &timeline)
	}
	if err != nil {
		t.Fatal(err)
	}
	parts := map[int]int{}
	for _, event := range timeline.TraceEvents {
		if event.Phase == "X" {
			parts[event.Row]++
		}
	}
	if parts[0] < 100 || parts[1] == 0 {
		t.Errorf("parts in the timeline, of the rank and of its executor: %v", parts)
	}
}

// Ranks have a timeline each.
func TestTraces(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace.json")
	solveBy(t, 2, nil, "--size", "100", "--trace", trace)
	for _, name := range []string{trace + ".0", trace + ".1"} {
		if text, err := os.ReadFile(name); err != nil || !json.Valid(text) {
			t.Errorf("%v\n%s", err, text)
		}
	}
	result := mpitest.Run(t, 2, nil, path("jacobi"), "--size", "100", "--trace", filepath.Join(trace, "none"))
	if said := complaints(result); result.Status != 1 || len(said) != 1 || !strings.Contains(said[0], "--trace") {
		t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
	}
	expectNothingLeft(t)
}

// An executor that can not take its rows gets none.
func TestAutoExecutorMemory(t *testing.T) {
	result := mpitest.Run(t, 1, nil, path("jacobi"), "--size", "2500", "--iterations", "500", "--verify=false", "--offload", "auto", "--executor-memory", "16MiB", "--report", "json")
	expectNothingLeft(t)
	var r report.Report
	if err := json.Unmarshal([]byte(result.Stdout), &r); result.Status != 0 || err != nil {
		t.Fatalf("exit status %d, %v\n%s", result.Status, err, result.Stderr)
	}
	if r.ShareLast != 0 || !(r.Residual <= r.Tolerance) || !strings.Contains(r.Divisions[0].Off, "--executor-memory") || strings.Count(result.Stderr, "--executor-memory") != 1 {
		t.Errorf("%+v\n%s", r, result.Stderr)
	}
}
