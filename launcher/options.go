package launcher

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/slurm"
)

// Options say what to launch.
type Options struct {
	// Allocation is where.
	Allocation slurm.Allocation
	// Directory is the run directory of the resource manager.
	Directory string
	// Program is the absolute path of sublet, the same on all nodes.
	Program string
	// Logs is an absolute path: the directory of what managers write, a file NODE.log for each. It is made.
	Logs string
	// Arguments of the managers beside those that follow from other options.
	Arguments []string
	// Cores of each node to lend; 0: all that the allocation has there.
	Cores int
	// Memory of each node to lend, in bytes; 0: all that the allocation has there.
	Memory int64
	// Overlap shares the allocation's cores with steps that run there, or come.
	Overlap bool
	// Srun is the path of srun.
	Srun string
	// Log is where to log; nil: nowhere.
	Log *slog.Logger
}

// patterns are characters that have a meaning in names of Slurm's files, which can not everywhere be taken from them.
const patterns = `%\`

// check refuses what could not be launched.
func (o *Options) check() error {
	switch {
	case len(o.Allocation.Nodes) == 0:
		return errors.New("launch: the allocation has no nodes")
	case !filepath.IsAbs(o.Program):
		return fmt.Errorf("launch: the path of sublet is %q, which is not absolute", o.Program)
	case !filepath.IsAbs(o.Logs) || !filepath.IsAbs(o.Directory):
		return errors.New("launch: the directories of the run and of its logs need absolute paths")
	case strings.ContainsAny(o.Logs, patterns):
		return fmt.Errorf("launch: the directory of the managers' logs is %q, and srun takes %% and \\ in names of files for something else; name another with --logs, or another run directory with --dir", o.Logs)
	}
	for _, node := range o.Allocation.Nodes {
		if have := o.Allocation.CPUs[node]; have > 0 && o.Cores > have {
			return fmt.Errorf("launch: --cores %d: job %d has %d CPUs on node %s; ask for at most as many, or submit with more", o.Cores, o.Allocation.Job, have, node)
		}
	}
	if have := o.Allocation.Memory; have > 0 && o.Memory > have {
		return fmt.Errorf("launch: --memory %s: job %d has %s on each node; ask for at most as much, or submit with more", bytesize.Format(o.Memory), o.Allocation.Job, bytesize.Format(have))
	}
	return nil
}

// group are the nodes of one step: those with as many CPUs.
type group struct {
	cpus  int // of each; 0: Slurm has not said
	nodes []string
}

// groups divides the allocation, in the order of its nodes.
func (o *Options) groups() []group {
	var all []group
	for _, node := range o.Allocation.Nodes {
		cpus := o.Allocation.CPUs[node]
		if o.Cores > 0 {
			cpus = o.Cores
		}
		at := slices.IndexFunc(all, func(g group) bool { return g.cpus == cpus })
		if at < 0 {
			at = len(all)
			all = append(all, group{cpus: cpus})
		}
		all[at].nodes = append(all[at].nodes, node)
	}
	return all
}

// nodePattern stands for a node's name in the arguments of its manager, as in names of srun's files.
const nodePattern = "%N"

// names are what managers are called, by node: as Slurm calls the node, or, where that is taken, with the job's number.
func names(nodes []string, taken map[string]bool, job slurm.JobID) (pattern string, byNode map[string]string) {
	end := ""
	if slices.ContainsFunc(nodes, func(node string) bool { return taken[node] }) {
		end = suffix(job)
	}
	byNode = make(map[string]string, len(nodes))
	for _, node := range nodes {
		byNode[node] = node + end
	}
	return nodePattern + end, byNode
}

// suffix is what a manager's name has behind that of its node, where that is taken.
func suffix(job slurm.JobID) string { return fmt.Sprintf("-%d", job) }
