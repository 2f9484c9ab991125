package slurm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Allocation is what a job has, as Slurm tells it in the job's environment.
type Allocation struct {
	Job     JobID
	Name    string
	User    string
	Account string
	// Partition and QOS are those that it runs in.
	Partition, QOS string
	Nodes          []string
	CPUs           map[string]int // by node
	Tasks          map[string]int // by node; nil: not said
	Memory         int64          // bytes on each node; 0: not said, which is all there is
	Started, Ends  time.Time      // zero: not said, or there is no end; squeue knows (Job.Ends)
	Node           string         // this one, as Slurm calls it; "" where nothing of the job runs (salloc)
	Restart        int            // how often it was requeued
	Directory      string         // from which it was submitted
}

// AllocationFromEnvironment reads the environment of a job's script, or of what srun or salloc started. Outside a
// job there is none, which is no error.
func AllocationFromEnvironment(getenv func(string) string) (Allocation, bool, error) {
	if getenv("SLURM_JOB_ID") == "" {
		return Allocation{}, false, nil
	}
	e := environment{getenv: getenv}
	a := Allocation{
		Job:       JobID(e.number("SLURM_JOB_ID", 32)),
		Name:      getenv("SLURM_JOB_NAME"),
		User:      getenv("SLURM_JOB_USER"),
		Account:   getenv("SLURM_JOB_ACCOUNT"),
		Partition: getenv("SLURM_JOB_PARTITION"),
		QOS:       getenv("SLURM_JOB_QOS"),
		Nodes:     e.nodes("SLURM_JOB_NODELIST"),
		Started:   e.moment("SLURM_JOB_START_TIME"),
		Ends:      e.moment("SLURM_JOB_END_TIME"),
		Node:      getenv("SLURMD_NODENAME"),
		Restart:   int(e.number("SLURM_RESTART_COUNT", 31)),
		Directory: getenv("SLURM_SUBMIT_DIR"),
	}
	a.CPUs = e.perNode("SLURM_JOB_CPUS_PER_NODE", a.Nodes)
	if getenv("SLURM_STEP_NODELIST") == "" {
		a.Tasks = e.perNode("SLURM_TASKS_PER_NODE", a.Nodes)
	} else { // within srun it is the step that the tasks are of
		a.Tasks = e.perNode("SLURM_TASKS_PER_NODE", e.nodes("SLURM_STEP_NODELIST"))
	}
	a.Memory = e.memory("SLURM_MEM_PER_NODE")
	if e.err != nil {
		return Allocation{}, true, fmt.Errorf("the environment of job %s: %w", shown(getenv("SLURM_JOB_ID")), e.err)
	}
	return a, true, nil
}

// environment reads variables, and keeps the first error.
type environment struct {
	getenv func(string) string
	err    error
}

func (e *environment) fail(name, why string) {
	if e.err == nil {
		e.err = fmt.Errorf("%s=%s: %s", name, shown(e.getenv(name)), why)
	}
}

func (e *environment) number(name string, bits int) uint64 {
	text := e.getenv(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		e.fail(name, "it is no number")
	}
	return n
}

func (e *environment) nodes(name string) []string {
	nodes, err := Expand(e.getenv(name))
	if err != nil {
		e.fail(name, err.Error())
	}
	return nodes
}

func (e *environment) moment(name string) time.Time { return moment(e.number(name, 63)) }

// memory is in MiB there, and 0 for all of it.
func (e *environment) memory(name string) int64 {
	const most = 1 << 40
	n := e.number(name, 63)
	if n > most {
		e.fail(name, "no node has so many MiB")
		return 0
	}
	return int64(n) << 20
}

// perNode reads how many of something each node has: 2(x3),1.
func (e *environment) perNode(name string, nodes []string) map[string]int {
	text := e.getenv(name)
	if text == "" || e.err != nil {
		return nil
	}
	counts := make(map[string]int, len(nodes))
	rest := nodes
	for word := range strings.SplitSeq(text, ",") {
		count, repeated := word, "1"
		if head, tail, found := strings.Cut(word, "(x"); found {
			var closed bool
			if repeated, closed = strings.CutSuffix(tail, ")"); !closed {
				e.fail(name, "a ( without its )")
				return nil
			}
			count = head
		}
		n, err := strconv.ParseUint(count, 10, 31)
		times, err2 := strconv.ParseUint(repeated, 10, 31)
		if err != nil || err2 != nil || times == 0 {
			e.fail(name, fmt.Sprintf("%q is no count; such look like 2(x3),1", word))
			return nil
		}
		if times > uint64(len(rest)) {
			e.fail(name, fmt.Sprintf("it is of more nodes than the job has, %d", len(nodes)))
			return nil
		}
		for _, node := range rest[:times] {
			counts[node] = int(n)
		}
		rest = rest[times:]
	}
	if len(rest) > 0 {
		e.fail(name, fmt.Sprintf("it is of fewer nodes than the job has, %d", len(nodes)))
		return nil
	}
	return counts
}

// moment is a time that Slurm gives as seconds since 1970; 0 is none, and what is not a time neither.
func moment(seconds uint64) time.Time {
	const most = 1 << 40 // the year 36,812
	if seconds == 0 || seconds > most {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
