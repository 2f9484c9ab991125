package harvest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

func TestScript(t *testing.T) {
	policy := polite("/runs/today's")
	policy.QOS, policy.TimeMin = "low", 10*time.Minute
	job := harvest.Job{Directory: "/runs/today's 5%", Program: "/opt/sublet/bin/sublet", Options: []string{"--account=astro"}}
	script, err := job.Script("sublet-harvest-1", "n7", policy)
	if err != nil {
		t.Fatal(err)
	}
	want := slurm.Script{
		Name: "sublet-harvest-1",
		Options: []string{
			"--account=astro", "--no-requeue", "--partition=harvest", "--nodes=1", "--ntasks=1", "--nodelist=n7", "--exclusive", "--mem=0",
			"--time=0-01:00:00", "--no-requeue", "--comment=sublet harvest /runs/today's 5%", "--chdir=/runs/today's 5%",
			"--output=/runs/today's 5%%/harvest/sublet-harvest-1.log", "--open-mode=append", "--propagate=NONE",
			"--qos=low", "--time-min=0-00:10:00", "--signal=B:TERM@60",
		},
		Body: `SUBLET_BIN=/opt/sublet/bin SUBLET_DIR='/runs/today'\''s 5%' exec /opt/sublet/bin/sublet executor-manager --name '%N'` + "\n",
	}
	if diff := cmp.Diff(want, script); diff != "" {
		t.Errorf("the script (-want +got):\n%s", diff)
	}
	job.Options = []string{"script.sh"}
	if _, err := job.Script("a", "n1", policy); err == nil || !strings.Contains(err.Error(), "option of sbatch") {
		t.Errorf("with an option that is none: %v", err)
	}
	job.Options = []string{"-J", "mine"}
	if _, err := job.Script("a", "n1", policy); err == nil || !strings.Contains(err.Error(), "known to be ours by their names") {
		t.Errorf("with another name: %v", err)
	}
}

func TestPolicyIsChecked(t *testing.T) {
	for want, change := range map[string]func(*harvest.Policy){
		"":                  func(*harvest.Policy) {},
		"--partition":       func(p *harvest.Policy) { p.Partition = "" },
		"--max-nodes":       func(p *harvest.Policy) { p.MaxNodes = 0 },
		"--backlog":         func(p *harvest.Policy) { p.Backlog = 0 },
		"--keep-free":       func(p *harvest.Policy) { p.KeepFree = -1 },
		"--time 1s":         func(p *harvest.Policy) { p.Time = time.Second },
		"--time-min 2h0m0s": func(p *harvest.Policy) { p.TimeMin = 2 * time.Hour },
		"--interval":        func(p *harvest.Policy) { p.Interval = time.Millisecond },
		"--idle-timeout":    func(p *harvest.Policy) { p.IdleTimeout = 0 },
		"--max-submissions": func(p *harvest.Policy) { p.MaxSubmissions = -1 },
	} {
		policy := polite("/runs/today")
		change(&policy)
		if err := policy.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
