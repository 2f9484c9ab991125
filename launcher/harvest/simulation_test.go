package harvest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// simulation is a cluster in virtual time: first come, first served, all nodes of a partition "batch", and of one
// "harvest" whose jobs start when nobody else wants their node, and are preempted if that is set up.
//
// The test's goroutine and the harvester's take turns; mu is for the order in which they do.
type simulation struct {
	mu       sync.Mutex
	now      func() time.Time
	nodes    []slurm.Node
	jobs     []*simulated
	next     slurm.JobID
	preempts bool
	// leaving is how long a cancelled or preempted job takes to leave its node.
	leaving time.Duration
	// quick has every job of ours end with a failure this long after its start; 0: none.
	quick time.Duration
	// wrong, if set, is what Submit does before, and whether it returns that error.
	wrong func(slurm.Script) (submitted bool, err error)

	submissions, looks, most int
}

// simulated is a job; its run time is that of the work that it brings.
type simulated struct {
	slurm.Job
	work   time.Duration // 0: until its limit
	left   time.Time     // when it is off its nodes
	ours   bool
	failed bool
}

func newSimulation(now func() time.Time, names ...string) *simulation {
	s := &simulation{now: now, next: 1, leaving: 500 * time.Millisecond}
	for _, name := range names {
		s.nodes = append(s.nodes, slurm.Node{Name: name, State: slurm.NodeIdle, Partitions: []string{"batch", "harvest"}, CPUs: 4})
	}
	return s
}

// enter submits a job of others.
func (s *simulation) enter(nodes int, work time.Duration) *simulated {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := &simulated{work: work, Job: slurm.Job{
		ID: s.next, Name: "work", User: "bob", Partition: "batch", State: "PENDING", Reason: "Priority",
		NodeCount: nodes, Submitted: s.now(), Limit: time.Hour,
	}}
	s.next++
	s.jobs = append(s.jobs, job)
	return job
}

// step lets pass what is over, and starts what can start.
func (s *simulation) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, job := range s.jobs {
		if job.Running() && !job.Ends.After(now) {
			job.State, job.Flags = "COMPLETED", nil
			if job.failed {
				job.State, job.ExitCode = "FAILED", 1
			}
		}
		if job.Completing() && !job.left.After(now) {
			job.Flags, job.Ends = nil, now
		}
	}
	s.jobs = slices.DeleteFunc(s.jobs, func(job *simulated) bool { return job.Ended() && now.Sub(job.Ends) > 5*time.Minute })
	blocked := false
	for _, job := range s.inOrder() {
		if blocked && !job.ours {
			job.Reason = "Priority"
			continue
		}
		if !s.start(job) {
			job.Reason = "Resources"
			blocked = blocked || !job.ours
		}
	}
	ours := 0
	for _, job := range s.jobs {
		if job.ours && !job.Ended() {
			ours++
		}
	}
	s.most = max(s.most, ours)
}

func (s *simulation) inOrder() []*simulated {
	waiting := slices.DeleteFunc(slices.Clone(s.jobs), func(job *simulated) bool { return !job.Pending() })
	slices.SortFunc(waiting, func(a, b *simulated) int {
		if a.ours != b.ours {
			if a.ours {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return waiting
}

// use is how many nodes no job of others has, and how many of these a job of ours.
func (s *simulation) use() (idle, used int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range s.nodes {
		holder := s.on(node.Name)
		if holder != nil && !holder.ours {
			continue
		}
		idle++
		if holder != nil && holder.Running() {
			used++
		}
	}
	return idle, used
}

// on is the job that has a node.
func (s *simulation) on(node string) *simulated {
	for _, job := range s.jobs {
		if (job.Running() || job.Completing()) && slices.Contains(job.Nodes, node) {
			return job
		}
	}
	return nil
}

func (s *simulation) start(job *simulated) bool {
	var idle, ours []string
	for _, node := range s.nodes {
		holder := s.on(node.Name)
		switch {
		case node.State != slurm.NodeIdle || len(node.Flags) > 0:
		case job.ours && !slices.Contains(job.RequestedNodes, node.Name):
		case holder == nil:
			idle = append(idle, node.Name)
		case holder.ours:
			ours = append(ours, node.Name)
		}
	}
	if len(idle) >= job.NodeCount {
		job.State, job.Reason, job.Nodes, job.Started = "RUNNING", "None", idle[:job.NodeCount], s.now()
		job.Ends = s.now().Add(job.Limit)
		if job.work > 0 {
			job.Ends = s.now().Add(job.work)
		}
		if job.ours && s.quick > 0 {
			job.Ends, job.failed = s.now().Add(s.quick), true
		}
		return true
	}
	if s.preempts && !job.ours && len(idle)+len(ours) >= job.NodeCount {
		for _, node := range ours[:job.NodeCount-len(idle)] {
			if victim := s.on(node); victim.Running() {
				s.end(victim, "PREEMPTED")
			}
		}
	}
	return false
}

func (s *simulation) end(job *simulated, state string) {
	job.State, job.Flags, job.left = state, []string{"COMPLETING"}, s.now().Add(s.leaving)
}

// Nodes implements harvest.Cluster.
func (s *simulation) Nodes(context.Context) ([]slurm.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := slices.Clone(s.nodes)
	for i, node := range nodes {
		if s.on(node.Name) != nil {
			nodes[i].State, nodes[i].AllocatedCPUs = slurm.NodeAllocated, node.CPUs
		}
	}
	return nodes, nil
}

// Jobs implements harvest.Cluster.
func (s *simulation) Jobs(context.Context) ([]slurm.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	var jobs []slurm.Job
	for _, job := range s.jobs {
		jobs = append(jobs, job.Job)
	}
	return jobs, nil
}

var errSilence = errors.New("sbatch gave no answer")

// Submit implements harvest.Cluster.
func (s *simulation) Submit(_ context.Context, script slurm.Script) (slurm.JobID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.submissions++
	var silence error
	if s.wrong != nil {
		submitted, err := s.wrong(script)
		if !submitted {
			return 0, err
		}
		silence = err
	}
	job := &simulated{ours: true, Job: slurm.Job{
		ID: s.next, Name: script.Name, User: "ann", UserID: "1001", Partition: "harvest", State: "PENDING", Reason: "None",
		NodeCount: 1, Submitted: s.now(), Limit: time.Hour,
	}}
	for _, option := range script.Options {
		if node, is := strings.CutPrefix(option, "--nodelist="); is {
			job.RequestedNodes = []string{node}
		}
	}
	s.next++
	s.jobs = append(s.jobs, job)
	if silence != nil {
		return 0, silence
	}
	return job.ID, nil
}

// Cancel implements harvest.Cluster.
func (s *simulation) Cancel(_ context.Context, ids ...slurm.JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range s.jobs {
		if !slices.Contains(ids, job.ID) || job.Ended() || job.Completing() {
			continue
		}
		if job.Pending() {
			job.State, job.Ends = "CANCELLED", s.now()
		} else {
			s.end(job, "CANCELLED")
		}
	}
	return nil
}

// Counters implements harvest.Cluster.
func (s *simulation) Counters() slurm.Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slurm.Counters{"sbatch": {Calls: uint64(s.submissions), Failures: 1}, "squeue": {Calls: uint64(s.looks)}}
}
