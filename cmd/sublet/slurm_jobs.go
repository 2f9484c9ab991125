package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

func slurmListCommand() *command {
	return &command{
		name: "slurm list", summary: "list the jobs that lend nodes, and who of them has registered",
		details: `
It lists your jobs in Slurm's queue that were submitted for this run directory, or with --all for any,
the oldest first. REGISTERED is how many of a running job's nodes have registered, CORES how many cores
these lend, and LEASES how many leases have executors there; they are "-" where the resource manager does not
answer. REASON is why a job waits.

--output json prints one array: job, kind, directory, state, reason, partition, node_count, nodes, submitted,
started, ends, registered (names, null if nobody can be asked), cores, leases. --output quiet prints the
numbers of the jobs.`,
		examples: []string{"sublet slurm list", "sublet slurm list --all --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			all := flags.Bool("all", false, "also those of other run directories")
			return func(args []string, stdout, stderr io.Writer) error {
				if err := noArguments("slurm list", args); err != nil {
					return err
				}
				ctx, client, stop, err := slurmClient("slurm list", stderr)
				if err != nil {
					return err
				}
				defer stop()
				jobs, err := ownJobs(ctx, client, *dir, *all, *format != outputQuiet)
				if err != nil {
					return fmt.Errorf("slurm list: %w", err)
				}
				return jobList.write(stdout, *format, jobs)
			}
		},
	}
}

func slurmCancelCommand() *command {
	return &command{
		name: "slurm cancel", synopsis: "JOB...|--all", summary: "cancel jobs that lend nodes",
		details: `
Their nodes drain and end: what functions run there goes on elsewhere. Jobs that were not submitted here are
refused, and left alone; --all cancels all that were submitted for this run directory.

--output json prints an array of job and cancelled. --output quiet prints the numbers of the jobs.`,
		examples: []string{"sublet slurm cancel 4711", "sublet slurm cancel --all"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			all := flags.Bool("all", false, "all of this run directory")
			return func(args []string, stdout, stderr io.Writer) error {
				if *all == (len(args) > 0) {
					return usagef("slurm cancel: which jobs? sublet slurm cancel JOB..., or --all; sublet slurm list shows them")
				}
				ctx, client, stop, err := slurmClient("slurm cancel", stderr)
				if err != nil {
					return err
				}
				defer stop()
				cancelled, err := cancelJobs(ctx, client, *dir, *all, args)
				return errors.Join(writeDone(stdout, *format, "job", "cancelled", cancelled), err)
			}
		},
	}
}

// errNoJob says that a job that was named is none of ours.
var errNoJob = errors.New("no such job")

// cancelJobs cancels those that are named, or all, and returns which it has.
func cancelJobs(ctx context.Context, client *slurm.Client, dir string, all bool, names []string) ([]string, error) {
	jobs, err := ownJobs(ctx, client, dir, !all, false)
	if err != nil {
		return nil, fmt.Errorf("slurm cancel: %w", err)
	}
	var ids []slurm.JobID
	if all {
		for _, job := range jobs {
			ids = append(ids, job.ID)
		}
	}
	found, err := each(names, func(name string) error {
		at := slices.IndexFunc(jobs, func(job jobRecord) bool { return job.ID.String() == name })
		if at < 0 {
			return fmt.Errorf("slurm cancel: %w: %q is not in Slurm's queue as one that was submitted by sublet; sublet slurm list --all shows those", errNoJob, name)
		}
		ids = append(ids, jobs[at].ID)
		return nil
	})
	if all {
		for _, id := range ids {
			found = append(found, id.String())
		}
	}
	if len(ids) == 0 {
		return nil, err
	}
	if failure := client.Cancel(ctx, ids...); failure != nil {
		return nil, errors.Join(err, fmt.Errorf("slurm cancel: %w", failure))
	}
	return found, err
}

// jobRecord is what is printed of a job.
type jobRecord struct {
	ID         slurm.JobID `json:"job"`
	Kind       string      `json:"kind"`
	Directory  string      `json:"directory"`
	State      string      `json:"state"`
	Reason     string      `json:"reason,omitempty"`
	Partition  string      `json:"partition"`
	NodeCount  int         `json:"node_count"`
	Nodes      []string    `json:"nodes"`
	Submitted  time.Time   `json:"submitted"`
	Started    time.Time   `json:"started,omitzero"`
	Ends       time.Time   `json:"ends,omitzero"`
	Registered []string    `json:"registered"`
	Cores      int         `json:"cores"`
	Leases     []string    `json:"leases"`
}

// ownJobs are those of this user that have not ended, of a run directory or of all, with who of them has registered if that is asked.
func ownJobs(ctx context.Context, client *slurm.Client, dir string, all, join bool) ([]jobRecord, error) {
	directory, err := runDirectory(dir)
	if err != nil {
		return nil, err
	}
	queue, err := client.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	queue = slices.DeleteFunc(queue, func(job slurm.Job) bool { return job.Ended() })
	only := directory
	if all {
		only = ""
	}
	var registered []api.NodeStatus
	if join {
		registered = registeredAt(ctx, directory)
	}
	records := []jobRecord{}
	for _, job := range launcher.Jobs(queue, userID(), only, registered) {
		if job.Tag.Directory != directory {
			job.Managers = nil // of another resource manager
		}
		records = append(records, recordOfJob(job))
	}
	return records, nil
}

// registeredAt are the nodes that are registered; nil if the resource manager does not say.
func registeredAt(ctx context.Context, directory string) []api.NodeStatus {
	client, err := api.Open(directory)
	if err != nil {
		return nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, registeredPatience)
	defer cancel()
	nodes, err := client.Nodes(ctx, "")
	if err != nil {
		return nil
	}
	return nodes
}

// registeredPatience is how long a resource manager may take to say who is registered.
const registeredPatience = 3 * time.Second

func recordOfJob(job launcher.Job) jobRecord {
	record := jobRecord{
		ID: job.ID, Kind: job.Tag.Kind, Directory: job.Tag.Directory, State: job.State, Reason: job.Reason, Partition: job.Partition,
		NodeCount: job.NodeCount, Nodes: job.Nodes, Submitted: job.Submitted, Leases: []string{},
	}
	if record.Reason == "None" || !job.Pending() {
		record.Reason = ""
	}
	if record.Nodes == nil {
		record.Nodes = []string{}
	}
	if job.Running() {
		record.Started, record.Ends = job.Started, job.Ends
	}
	if job.Managers == nil {
		return record
	}
	record.Registered = []string{}
	for _, node := range job.Managers {
		record.Registered = append(record.Registered, node.Name)
		record.Cores += len(node.Cores)
		for _, lease := range node.Leases {
			if !slices.Contains(record.Leases, lease) {
				record.Leases = append(record.Leases, lease)
			}
		}
	}
	return record
}

var jobList = list[jobRecord]{
	name:   func(j jobRecord) string { return j.ID.String() },
	header: "JOB\tKIND\tSTATE\tPARTITION\tNODES\tREGISTERED\tCORES\tLEASES\tTIME LEFT\tREASON",
	row: func(j jobRecord) []string {
		nodes := strconv.Itoa(j.NodeCount)
		if len(j.Nodes) > 0 {
			nodes = slurm.Fold(j.Nodes)
		}
		registered, cores, leases := "-", "-", "-"
		if j.Registered != nil {
			registered, cores, leases = fmt.Sprintf("%d of %d", len(j.Registered), j.NodeCount), strconv.Itoa(j.Cores), strconv.Itoa(len(j.Leases))
		}
		left := "-"
		if !j.Ends.IsZero() {
			left = max(time.Until(j.Ends), 0).Round(time.Second).String()
		}
		return []string{j.ID.String(), j.Kind, j.State, j.Partition, nodes, registered, cores, leases, left, orDash(j.Reason)}
	},
}
