package main

import (
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

func launchCommand() *command {
	return &command{
		name: "launch", summary: "lend the nodes of this Slurm allocation",
		details: `
In an allocation (sbatch, salloc) it starts one executor manager on each node, by srun, waits until
they have registered with the resource manager of the run directory, says which have, and stays until
SIGTERM, Ctrl-C or the allocation's end. Then they drain, which takes --grace at most, and end, and
nothing is left on the nodes; a second signal kills them at once. They end as well if this command is
killed. From --drain-before the allocation's end on they take no new leases.

A manager that fails is named, with the last lines that it wrote; the others go on. If none has
registered the exit status is 1, and with --all also if one has not.

Managers lend all CPUs and memory that the job has on their nodes, or the part that --cores and
--memory say. srun waits while other steps of the job have its CPUs; --overlap shares them, which is
how the spare cores of a running job are lent: cores that ranks compute on are left to them.

--with-resource-manager starts a resource manager too, here, and ends it at last. It listens at the
address by which this host reaches the job's other nodes; --listen names another.

What a manager writes is in NODE.log in --logs; by default that is slurm/JOB in the run directory.

--output json prints one object when the managers have registered: job, directory, nodes (as "sublet
node list" has them), failed (node, reason, lines, log), took (nanoseconds). --output quiet prints the
names of the nodes.

Outside an allocation, "sublet slurm submit" submits a job that does this.`,
		examples: []string{
			"sublet launch",
			"sublet launch --overlap --cores 2 &",
			"sublet launch --with-resource-manager --dir ~/runs/today",
			"salloc -N 2 --exclusive --mem=0 sublet launch",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			l := newLaunching()
			dir, format := directoryFlag(flags), outputFlag(flags)
			l.part.declare(flags)
			l.flags.declare(flags)
			flags.StringVar(&l.options.Logs, "logs", "", "the `DIR`ectory for what managers write (default: slurm/JOB in the run directory)")
			flags.BoolVar(&l.options.Overlap, "overlap", false, "share the CPUs of the job's other steps")
			return func(args []string, stdout, stderr io.Writer) error {
				if err := noArguments("launch", args); err != nil {
					return err
				}
				if err := l.part.check("launch", flags); err != nil {
					return err
				}
				if err := l.flags.check("launch"); err != nil {
					return err
				}
				l.dir, l.format, l.stdout, l.stderr = *dir, *format, stdout, stderr
				return l.run()
			}
		},
	}
}

// nodePart are the flags of what each node of a job lends.
type nodePart struct {
	cores  int
	memory bytesize.Value
}

func (p *nodePart) declare(flags *pflag.FlagSet) {
	flags.IntVar(&p.cores, "cores", 0, "lend `N` CPUs of each node, as Slurm counts them (default: all that the job has)")
	flags.Var(&p.memory, "memory", "how much `MEMORY` of each node to lend, such as 8G (default: all that the job has)")
}

func (p *nodePart) check(name string, flags *pflag.FlagSet) error {
	if flags.Changed("cores") && p.cores < 1 {
		return usagef("%s: --cores %d: at least 1", name, p.cores)
	}
	if flags.Changed("memory") && int64(p.memory) < api.LeastShare {
		return usagef("%s: --memory %s: at least %s, which is the least share of an executor", name, p.memory.String(), bytesize.Format(api.LeastShare))
	}
	return nil
}

// launchFlags are those of sublet launch that sublet slurm submit passes on.
type launchFlags struct {
	withResourceManager bool
	listen              string
	all                 bool
	wait                slurmTime
	drainBefore, grace  slurmTime
}

const defaultWait = slurmTime(2 * time.Minute)

func (f *launchFlags) declare(flags *pflag.FlagSet) {
	f.wait, f.drainBefore, f.grace = defaultWait, slurmTime(defaultDrainBefore), slurmTime(defaultGrace)
	flags.BoolVar(&f.withResourceManager, "with-resource-manager", false, "start a resource manager too")
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS`, host:port, at which that resource manager listens")
	flags.BoolVar(&f.all, "all", false, "fail unless all managers have registered")
	flags.Var(&f.wait, "wait-timeout", "how long to wait until all managers have registered")
	flags.Var(&f.drainBefore, "drain-before", "how long before the allocation's end its nodes take no new leases")
	flags.Var(&f.grace, "grace", "how long running functions have when the nodes are told to end")
}

func (f *launchFlags) check(name string) error {
	if f.listen != "" && !f.withResourceManager {
		return usagef("%s: --listen goes with --with-resource-manager; executor managers listen at the address by which they reach the resource manager", name)
	}
	for flag, value := range map[string]slurmTime{"drain-before": f.drainBefore, "grace": f.grace} {
		if value == slurmTime(slurm.Unlimited) { // Slurm kills what is left soon after it has told a job to end
			return usagef("%s: --%s UNLIMITED: it is a time, such as 25s", name, flag)
		}
	}
	return nil
}

// words are the flags as a command line has them.
func (f *launchFlags) words() (words []string) {
	if f.withResourceManager {
		words = append(words, "--with-resource-manager")
	}
	if f.listen != "" {
		words = append(words, "--listen="+f.listen)
	}
	if f.all {
		words = append(words, "--all")
	}
	if f.wait != defaultWait {
		words = append(words, "--wait-timeout="+f.wait.String())
	}
	if f.drainBefore != slurmTime(defaultDrainBefore) {
		words = append(words, "--drain-before="+f.drainBefore.String())
	}
	if f.grace != slurmTime(defaultGrace) {
		words = append(words, "--grace="+f.grace.String())
	}
	return words
}
