package harvest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/slurm"
)

// wanted are the nodes that pending jobs of others want, with the job and why: those of ours are given back, and
// those that are idle are not taken.
type wanted map[string]string

// wants says which nodes that is.
//
// A job with reason Resources is the next of its partition: it gets what of ours it can use, even if that is not
// enough yet. One with reason Priority waits behind others, and gets nodes of ours if it could start with them.
// Jobs that wait for something else (a dependency, a limit, a license, a time) want no nodes.
func wants(snapshot Snapshot, ours map[string]Record, order []string) wanted {
	found := wanted{}
	for _, job := range waiting(snapshot.Jobs) {
		for range tasks(job, len(snapshot.Nodes)) {
			if !want(job, snapshot.Nodes, ours, order, found) {
				break
			}
		}
	}
	return found
}

// waiting are the jobs of others that wait for nodes, the next first.
func waiting(jobs []slurm.Job) []slurm.Job {
	jobs = slices.DeleteFunc(slices.Clone(jobs), func(job slurm.Job) bool {
		return !job.Pending() || !waitsForNodes(job) || ofAnyHarvester(job) || job.Reservation != ""
	})
	slices.SortStableFunc(jobs, func(a, b slurm.Job) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(b.Priority, a.Priority), a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	return jobs
}

func waitsForNodes(job slurm.Job) bool { return job.Reason == "Resources" || job.Reason == "Priority" }

func rank(job slurm.Job) int {
	if job.Reason == "Resources" {
		return 0
	}
	return 1
}

// tasks is for how many jobs a record of squeue's stands, at most some: tasks of an array that wait are one
// record, 3-7,9 or 1-100%4.
func tasks(job slurm.Job, most int) int {
	list, atOnce, limited := strings.Cut(job.ArrayTask, "%")
	n := 0
	for word := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(word, "-")
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if isRange && err == nil && err2 == nil && to >= from {
			n += min(to-from, most) // steps such as 1-9:2 count as one
		}
		n++
	}
	if limit, err := strconv.Atoi(atOnce); limited && err == nil {
		n = min(n, max(limit, 1))
	}
	return min(n, most)
}

// want has a job take nodes, idle ones first. It tells whether the job took any.
func want(job slurm.Job, nodes []slurm.Node, ours map[string]Record, order []string, taken wanted) bool {
	need := max(job.NodeCount, len(job.RequestedNodes), 1)
	why := fmt.Sprintf("job %d of %s waits for it (%s)", job.ID, orUnknown(job.User), job.Reason)
	byName := map[string]slurm.Node{}
	var idle []string
	for _, node := range nodes {
		if !sharesPartition(node, job) || slices.Contains(job.ExcludedNodes, node.Name) || taken[node.Name] != "" {
			continue
		}
		byName[node.Name] = node
		if record, is := ours[node.Name]; free(node) && !is || is && record.leaving() {
			idle = append(idle, node.Name) // what is leaving will be
		}
	}
	var held []string // by us, the required ones first
	for _, name := range order {
		if _, reachable := byName[name]; reachable && !ours[name].leaving() {
			held = append(held, name)
		}
	}
	slices.SortFunc(idle, compareNames)
	required := func(a, b string) int {
		return boolean(!slices.Contains(job.RequestedNodes, a)) - boolean(!slices.Contains(job.RequestedNodes, b))
	}
	slices.SortStableFunc(idle, required)
	slices.SortStableFunc(held, required)
	if job.Reason != "Resources" && len(idle)+len(held) < need {
		return false
	}
	var chosen []string
	for _, name := range slices.Concat(idle, held) {
		if slices.Contains(job.RequestedNodes, name) {
			chosen = append(chosen, name)
		}
	}
	for _, name := range slices.Concat(idle, held) {
		if len(chosen) < need && !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	for _, name := range chosen {
		taken[name] = why
	}
	return len(chosen) > 0
}

func orUnknown(user string) string { return cmp.Or(user, "somebody") }

func boolean(is bool) int {
	if is {
		return 1
	}
	return 0
}
