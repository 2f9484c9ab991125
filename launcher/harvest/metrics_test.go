package harvest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

// counted is a cluster whose commands were called as often as it says.
type counted struct {
	*simulation
	calls slurm.Counters
}

func (c counted) Counters() slurm.Counters { return c.calls }

// Metrics say how calls of Slurm's commands ended, each once, and how the harvest stands, also after a time in which no command works.
func TestMetrics(t *testing.T) {
	directory := t.TempDir()
	cluster := counted{newSimulation(time.Now, "n1", "n2"), slurm.Counters{
		"sbatch": {Calls: 9, Failures: 6, Timeouts: 2, Refusals: 3, Skipped: 4, Time: 1500 * time.Millisecond},
	}}
	policy := polite(directory)
	policy.KeepFree, policy.MinIdle, policy.MaxNodes = 0, 0, 2
	h, err := harvest.Open(harvest.Options{Policy: policy, Job: harvest.Job{Directory: directory, Program: "/opt/sublet"}, Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	collect := func() string {
		answer := httptest.NewRecorder()
		harvest.Metrics(directory, cluster).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	expect := func(lines ...string) {
		t.Helper()
		text := collect()
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("there is no %s among\n%s", line, text)
			}
		}
	}
	expect(
		`sublet_harvest_slurm_calls_total{command="sbatch",result="succeeded"} 3`,
		`sublet_harvest_slurm_calls_total{command="sbatch",result="timeout"} 2`,
		`sublet_harvest_slurm_calls_total{command="sbatch",result="refused"} 3`,
		`sublet_harvest_slurm_calls_total{command="sbatch",result="failed"} 1`,
		`sublet_harvest_slurm_calls_total{command="sinfo",result="failed"} 0`,
		`sublet_harvest_slurm_calls_skipped_total{command="sbatch"} 4`,
		`sublet_harvest_slurm_call_seconds_total{command="sbatch"} 1.5`,
		`sublet_harvest_nodes{state="asked-for"} 0`,
		`sublet_harvest_last_look_timestamp_seconds 0`,
	)
	h.Look(t.Context()) // it submits for both
	expect(`sublet_harvest_nodes{state="asked-for"} 2`, `sublet_harvest_max_nodes 2`, `sublet_harvest_failures 0`, `sublet_harvest_node_seconds_total 0`)
	if strings.Contains(collect(), "sublet_harvest_last_look_timestamp_seconds 0\n") {
		t.Error("Slurm was looked at, and no metric says so")
	}
}
