package slurm

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// environmentOf makes a getenv of NAME=value words.
func environmentOf(words string) func(string) string {
	variables := map[string]string{}
	for word := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(word, "=")
		variables[name] = value
	}
	return func(name string) string { return variables[name] }
}

func TestAllocationFromEnvironment(t *testing.T) {
	nodes := []string{"n1", "n2", "n3", "n4"}
	for name, c := range map[string]struct {
		environment string
		want        Allocation
	}{
		"batch": { // of Slurm 22.05, without what is not read
			"SLURMD_NODENAME=n1 SLURM_JOB_CPUS_PER_NODE=2(x3),1 SLURM_JOB_ID=9 SLURM_JOB_NAME=a SLURM_JOB_NODELIST=n[1-4]" +
				" SLURM_JOB_PARTITION=batch SLURM_JOB_USER=root SLURM_MEM_PER_NODE=100 SLURM_SUBMIT_DIR=/tmp SLURM_TASKS_PER_NODE=1(x4) SLURM_RESTART_COUNT=2",
			Allocation{
				Job: 9, Name: "a", User: "root", Partition: "batch", Nodes: nodes, CPUs: map[string]int{"n1": 2, "n2": 2, "n3": 2, "n4": 1},
				Tasks: map[string]int{"n1": 1, "n2": 1, "n3": 1, "n4": 1}, Memory: 100 << 20, Node: "n1", Restart: 2, Directory: "/tmp",
			},
		},
		"step": { // the tasks are the step's
			"SLURMD_NODENAME=n2 SLURM_JOB_ID=9 SLURM_JOB_CPUS_PER_NODE=2(x4) SLURM_JOB_NODELIST=n[1-4] SLURM_STEP_NODELIST=n2 SLURM_TASKS_PER_NODE=3",
			Allocation{
				Job: 9, Nodes: nodes, CPUs: map[string]int{"n1": 2, "n2": 2, "n3": 2, "n4": 2},
				Tasks: map[string]int{"n2": 3}, Node: "n2",
			},
		},
		"newer": {
			"SLURM_JOB_ID=4294967295 SLURM_JOB_NODELIST=m SLURM_JOB_START_TIME=1795312256 SLURM_JOB_END_TIME=1795312856 SLURM_JOB_ACCOUNT=x SLURM_JOB_QOS=q SLURM_MEM_PER_NODE=0",
			Allocation{
				Job: 1<<32 - 1, Nodes: []string{"m"}, Account: "x", QOS: "q",
				Started: time.Unix(1795312256, 0), Ends: time.Unix(1795312856, 0),
			},
		},
	} {
		got, in, err := AllocationFromEnvironment(environmentOf(c.environment))
		if err != nil || !in {
			t.Errorf("%s: %v, %v", name, in, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got, in, err := AllocationFromEnvironment(environmentOf("SLURM_CONF=/etc/slurm.conf")); err != nil || in || got.Job != 0 {
		t.Errorf("outside a job: %+v, %v, %v", got, in, err)
	}
}

func TestAllocationRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"SLURM_JOB_ID=x SLURM_JOB_NODELIST=n1", `the environment of job "x": SLURM_JOB_ID="x": it is no number`},
		{"SLURM_JOB_ID=1", `SLURM_JOB_NODELIST="": hostlist "": an empty name`},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1", `a [ without its ]`},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_CPUS_PER_NODE=2(x3)", "of more nodes than the job has, 2"},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_CPUS_PER_NODE=2", "of fewer nodes than the job has, 2"},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_CPUS_PER_NODE=2(x2", "a ( without its )"},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_CPUS_PER_NODE=2(x0),1", `"2(x0)" is no count`},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_CPUS_PER_NODE=2,-1", `"-1" is no count`},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n1 SLURM_MEM_PER_NODE=9223372036854775807", "no node has so many MiB"},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n1 SLURM_JOB_END_TIME=soon", `SLURM_JOB_END_TIME="soon": it is no number`},
		{"SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n1 SLURM_JOB_CPUS_PER_NODE=2(x99999999999999)", "is no count"},
	} {
		environment, reason := c[0], c[1]
		got, in, err := AllocationFromEnvironment(environmentOf(environment))
		if err == nil {
			t.Errorf("%s was read as %+v", environment, got)
		} else if !in || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, %v; it should say %s", environment, in, err, reason)
		}
	}
}

// Whatever the environment is, it is refused, or every node has its CPUs.
func FuzzAllocation(f *testing.F) {
	f.Add("9", "n[1-4]", "2(x3),1", "1(x4)", "100", "1795312856")
	f.Add("1", "n1", "2", "", "", "")
	f.Fuzz(func(t *testing.T, job, nodes, cpus, tasks, memory, ends string) {
		a, in, err := AllocationFromEnvironment(func(name string) string {
			return map[string]string{
				"SLURM_JOB_ID": job, "SLURM_JOB_NODELIST": nodes, "SLURM_JOB_CPUS_PER_NODE": cpus, "SLURM_TASKS_PER_NODE": tasks,
				"SLURM_MEM_PER_NODE": memory, "SLURM_JOB_END_TIME": ends,
			}[name]
		})
		if err != nil || !in {
			return
		}
		for _, node := range a.Nodes {
			if _, has := a.CPUs[node]; cpus != "" && !has {
				t.Errorf("%s has no CPUs: %+v", node, a)
			}
		}
		if len(a.Nodes) == 0 || a.Memory < 0 {
			t.Errorf("%+v", a)
		}
	})
}
