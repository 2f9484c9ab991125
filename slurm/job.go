package slurm

import (
	"slices"
	"strconv"
	"time"
)

// JobID is the number of a job.
type JobID uint32

func (id JobID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Job is what squeue says of a job. What Slurm does not say is the zero value.
type Job struct {
	ID        JobID
	ArrayJob  JobID  // the array that it is of, or 0
	ArrayTask string // of an array: which tasks this record stands for: 3, or 1-9 while they wait
	Name      string
	User      string // as the host of squeue knows him, if it does
	UserID    string // his number; "": not said
	Account   string
	Partition string // while it waits also several, with commas
	QOS       string
	// State is PENDING, RUNNING, COMPLETED and so on; Pending, Running, Completing and Ended tell them apart.
	State   string
	Flags   []string // what Slurm says beside the state: COMPLETING, CONFIGURING, REQUEUED, …
	Reason  string   // why it waits or has failed, in one word: Resources, Priority, BeginTime, …
	Comment string

	Nodes         []string // that it has, or has had
	NodeCount     int      // that it has, or at least wants
	CPUs          int      // the same, of all nodes
	MemoryPerNode int64    // that it wants, in bytes; 0: not said, or all
	Priority      uint32

	RequestedNodes []string // must be among its nodes
	ExcludedNodes  []string // must not
	ScheduledNodes []string // that the scheduler has in mind for it while it waits
	Reservation    string

	Submitted, Eligible time.Time
	Started             time.Time     // while it waits: when Slurm expects that
	Ends                time.Time     // or has ended; while it waits: when Slurm expects that
	Preempted           time.Time     // told that it will be
	Limit               time.Duration // Unlimited; 0: not said, which is the partition's default
	LimitMinimum        time.Duration // --time-min
	Restarts            int

	ExitCode int // of its script
	Signal   int // that ended its script, or 0

	WorkingDirectory string
}

func (j *Job) is(words ...string) bool {
	return slices.Contains(words, j.State) || slices.ContainsFunc(j.Flags, func(flag string) bool { return slices.Contains(words, flag) })
}

// Completing says whether its processes are being ended: it still has its nodes.
func (j *Job) Completing() bool { return j.is("COMPLETING", "STAGE_OUT") }

// Running says whether it has nodes, and they are not being cleared.
func (j *Job) Running() bool {
	return !j.Completing() && j.is("RUNNING", "SUSPENDED", "CONFIGURING", "RESIZING", "SIGNALING", "STOPPED")
}

// Pending says whether it waits for nodes, also because it was requeued, or is held.
func (j *Job) Pending() bool {
	return !j.Completing() && !j.Running() &&
		j.is("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
}

// Ended says whether it neither has nor waits for anything. Slurm shows such jobs for some minutes.
func (j *Job) Ended() bool { return !j.Completing() && !j.Running() && !j.Pending() }
