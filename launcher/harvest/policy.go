package harvest

import (
	"errors"
	"fmt"
	"time"
)

// Policy says what is harvested, and within which bounds.
type Policy struct {
	// Names are those of this run directory's jobs.
	Names Names `json:"-"`
	// Partition is where jobs are submitted, and whose nodes are looked at.
	Partition string `json:"partition"`
	// QOS of the jobs; empty: the usual one.
	QOS string `json:"qos,omitempty"`
	// MaxNodes is how many jobs there may be altogether; each has one node.
	MaxNodes int `json:"max_nodes"`
	// MinIdle is for how long a node must have been idle, as far as was seen.
	MinIdle time.Duration `json:"min_idle"`
	// IdleTimeout is after which time without a lease a node is given back, under OnDemand.
	IdleTimeout time.Duration `json:"idle_timeout,omitempty"`
	// KeepFree is how many idle nodes of the partition are left to others.
	KeepFree int `json:"keep_free"`
	// Backlog is how many jobs may be submitted that have not started.
	Backlog int `json:"backlog"`
	// Time is the jobs' time limit, TimeMin the least that Slurm may make of it; 0: Slurm may not.
	Time    time.Duration `json:"time"`
	TimeMin time.Duration `json:"time_min,omitempty"`
	// OnDemand submits only for leases that wait at the resource manager.
	OnDemand bool `json:"on_demand,omitempty"`
	// Interval is how often Slurm is asked.
	Interval time.Duration `json:"interval"`
	// MaxSubmissions bounds the calls of sbatch in any hour; 0: ten for each of MaxNodes, and 60 at least.
	MaxSubmissions int `json:"max_submissions"`
}

// DefaultPolicy disturbs nobody, also where preemption is not set up. It has no partition.
func DefaultPolicy() Policy {
	return Policy{
		MaxNodes: 8, MinIdle: 10 * time.Second, IdleTimeout: 5 * time.Minute, KeepFree: 1, Backlog: 2,
		Time: time.Hour, Interval: 30 * time.Second,
	}
}

const (
	// quickEnd is how long a job must have run not to count as one that failed to start.
	quickEnd = 30 * time.Second
	// leastPause and longestPause are how long nothing is submitted after one failure, and after many.
	leastPause   = 30 * time.Second
	longestPause = time.Hour
	// hour is over which time submissions are counted.
	hour = time.Hour
	// Settle is after which time a job of which sbatch has said nothing can not come any more.
	Settle = 2 * time.Minute
	// leastInterval is the shortest between two looks.
	leastInterval = time.Second
	// leastTime is the shortest time limit that is worth a job.
	leastTime = time.Minute
)

// Check refuses what can not be meant.
func (p Policy) Check() error {
	switch {
	case p.Partition == "":
		return errors.New("--partition: which? one whose jobs others may preempt, or any; sinfo lists them")
	case p.MaxNodes < 1:
		return fmt.Errorf("--max-nodes %d: it is at least 1", p.MaxNodes)
	case p.Backlog < 1:
		return fmt.Errorf("--backlog %d: it is at least 1", p.Backlog)
	case p.KeepFree < 0:
		return fmt.Errorf("--keep-free %d: it is at least 0", p.KeepFree)
	case p.MinIdle < 0:
		return fmt.Errorf("--min-idle %v: it is at least 0", p.MinIdle)
	case p.IdleTimeout <= 0:
		return fmt.Errorf("--idle-timeout %v: it is above 0", p.IdleTimeout)
	case p.Time < leastTime:
		return fmt.Errorf("--time %v: it is at least %v", p.Time, leastTime)
	case p.TimeMin < 0 || p.TimeMin > p.Time:
		return fmt.Errorf("--time-min %v: it is at most --time, which is %v", p.TimeMin, p.Time)
	case p.Interval < leastInterval:
		return fmt.Errorf("--interval %v: it is at least %v, so that Slurm has other things to do", p.Interval, leastInterval)
	case p.Interval > hour:
		return fmt.Errorf("--interval %v: it is at most %v, for so long others may wait for their nodes; a number alone is minutes", p.Interval, hour)
	case p.MaxSubmissions < 0:
		return fmt.Errorf("--max-submissions %d: it is at least 1", p.MaxSubmissions)
	}
	return nil
}

// submissions is MaxSubmissions, or what it is if nobody says.
func (p Policy) submissions() int {
	if p.MaxSubmissions > 0 {
		return p.MaxSubmissions
	}
	const perNode, least = 10, 60
	return max(least, perNode*p.MaxNodes)
}

// startPatience is how long a job may be pending on a node that stays idle.
func (p Policy) startPatience() time.Duration { return 2*p.Interval + time.Minute }
