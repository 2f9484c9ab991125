package main

import (
	"cmp"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/executors/manager"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// jobPart is what an executor manager has to do with the job that it runs in: its part of the node.
type jobPart struct {
	memory bytesize.Value
}

func (p *jobPart) declare(flags *pflag.FlagSet) {
	flags.Var(&p.memory, "memory", "how much of its `MEMORY` to lend at most, such as 8G (default: all that goes with the cores)")
}

// apply fills in what Slurm says of this node.
func (p *jobPart) apply(options *manager.DaemonOptions) error {
	options.Memory = int64(p.memory)
	node := os.Getenv("SLURMD_NODENAME") // unset on the node of a salloc, which lends nothing of the job's
	switch {
	case strings.Contains(options.Name+options.NameIfTaken, "%N") && node == "":
		return usagef("executor-manager: --name %s: %%N is for jobs of Slurm's, and SLURMD_NODENAME is not set; start it by srun", cmp.Or(options.Name, options.NameIfTaken))
	case options.Name == "":
		options.Name = node
	}
	options.Name = strings.ReplaceAll(options.Name, "%N", node)
	options.NameIfTaken = strings.ReplaceAll(options.NameIfTaken, "%N", node)
	if node == "" {
		return nil
	}
	if job, err := strconv.ParseUint(os.Getenv("SLURM_JOB_ID"), 10, 32); err == nil { // else it is known by its name alone
		options.Job = uint32(job)
	}
	if options.Cores != nil {
		return nil
	}
	if text := os.Getenv("SLURM_CPUS_ON_NODE"); text != "" {
		cpus, err := strconv.Atoi(text)
		if err != nil || cpus < 1 {
			return usagef("SLURM_CPUS_ON_NODE is %q, which Slurm does not write; start it by srun, or unset that", text)
		}
		options.CPUs = cpus
	}
	return nil
}
