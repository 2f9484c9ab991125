package harvest

import (
	"cmp"
	"fmt"
	"maps"
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
	w := wishes{free: map[string]slurm.Node{}, held: map[string]slurm.Node{}, order: order, taken: wanted{}}
	for _, node := range snapshot.Nodes {
		record, is := ours[node.Name]
		switch {
		case is && !record.leaving():
			w.held[node.Name] = node
		case is, free(node): // what is leaving will be
			w.free[node.Name] = node
		}
	}
	w.idle = slices.SortedFunc(maps.Keys(w.free), compareNames)
	for _, job := range waiting(snapshot.Jobs) {
		for range tasks(job, len(snapshot.Nodes)) {
			if len(w.taken) == len(w.free)+len(w.held) {
				return w.taken
			}
			if !w.want(job) {
				break
			}
		}
	}
	return w.taken
}

// wishes are what pending jobs can have, and have taken. On a large cluster with many jobs that is little: nearly all nodes are
// used by others.
type wishes struct {
	free, held map[string]slurm.Node // idle, and by us
	idle       []string              // names of the free ones
	order      []string              // of the held ones: in which they are given back
	taken      wanted
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
func (w *wishes) want(job slurm.Job) bool {
	need := max(job.NodeCount, len(job.RequestedNodes), 1)
	why := fmt.Sprintf("job %d of %s waits for it (%s)", job.ID, orUnknown(job.User), job.Reason)
	if job.Reason != "Resources" && len(w.free)+len(w.held)-len(w.taken) < need {
		return false
	}
	idle, held := w.fit(w.idle, w.free, job), w.fit(w.order, w.held, job)
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
		w.taken[name] = why
	}
	return len(chosen) > 0
}

// fit are those nodes that a job can use and nobody else has taken, in the order of their names, the required ones first.
func (w *wishes) fit(names []string, nodes map[string]slurm.Node, job slurm.Job) []string {
	var fit []string
	for _, name := range names {
		if node, is := nodes[name]; is && w.taken[name] == "" && sharesPartition(node, job) && !slices.Contains(job.ExcludedNodes, name) {
			fit = append(fit, name)
		}
	}
	slices.SortStableFunc(fit, func(a, b string) int {
		return boolean(!slices.Contains(job.RequestedNodes, a)) - boolean(!slices.Contains(job.RequestedNodes, b))
	})
	return fit
}

func orUnknown(user string) string { return cmp.Or(user, "somebody") }

func boolean(is bool) int {
	if is {
		return 1
	}
	return 0
}
