package launcher

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// JobName is the name of jobs that are submitted here, and of the steps of launches.
const JobName = "sublet"

// Tag is what a job's comment says of it: by it we know our own.
type Tag struct {
	// Kind is what the job does: KindLaunch or KindHarvest.
	Kind string
	// Directory is the run directory.
	Directory string
}

const tagPrefix = "sublet "

// Kinds of jobs: those that run `sublet launch`, and those that a harvester keeps on idle nodes.
const (
	KindLaunch  = "launch"
	KindHarvest = "harvest"
)

// Comment is the tag as a job's comment.
func (t Tag) Comment() string { return tagPrefix + t.Kind + " " + t.Directory }

// ParseTag reads a job's comment; false: it is none of ours.
func ParseTag(comment string) (Tag, bool) {
	rest, ours := strings.CutPrefix(comment, tagPrefix)
	kind, directory, found := strings.Cut(rest, " ")
	if !ours || !found || kind == "" || !strings.HasPrefix(directory, "/") {
		return Tag{}, false
	}
	return Tag{Kind: kind, Directory: directory}, true
}

// Job is one of ours, with the managers of it that have registered.
type Job struct {
	slurm.Job
	Tag Tag
	// Managers are registered; nil: nobody could be asked.
	Managers []api.NodeStatus
}

// Jobs picks ours of a user's, by his number, out of all jobs, and joins them with the nodes that are registered; the oldest first. Those of other run
// directories than this are left out, unless it is empty.
func Jobs(all []slurm.Job, userID, directory string, registered []api.NodeStatus) []Job {
	jobs := []Job{}
	for _, job := range all {
		tag, ours := ParseTag(job.Comment)
		if !ours || job.UserID != userID || directory != "" && tag.Directory != directory {
			continue
		}
		jobs = append(jobs, Job{Job: job, Tag: tag, Managers: managersOf(job, registered)})
	}
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	return jobs
}

// managersOf are the registered ones on a job's nodes.
func managersOf(job slurm.Job, registered []api.NodeStatus) []api.NodeStatus {
	if registered == nil {
		return nil
	}
	found := []api.NodeStatus{}
	if !job.Running() {
		return found
	}
	has := map[string]api.NodeStatus{}
	for _, node := range registered {
		if node.Job == uint32(job.ID) {
			has[node.Name] = node
		}
	}
	for _, node := range job.Nodes {
		if status, is := has[node+suffix(job.ID)]; is {
			found = append(found, status)
		} else if status, is := has[node]; is {
			found = append(found, status)
		}
	}
	return found
}
