package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

func harvestCommand() *command {
	return &command{
		name: "slurm harvest", synopsis: "--partition PARTITION [-- SBATCH OPTIONS]", summary: "keep executor managers on idle nodes, and take them away before anybody waits",
		details: `
Each has a Slurm job of its own, of one node. It runs until SIGTERM or Ctrl-C; its jobs go on then, and it finds
them again when it is started again. --give-back ends them.

Nodes that are not all idle are left alone, and those that are drained, down, powered down or up, in the
cloud, planned for a job, reserved or in maintenance. A node is given back when a pending job of others could use
it (its reason is Resources, or Priority and there are nodes enough), when fewer than --keep-free would be idle, or
when an administrator drains or reserves it. Give it a partition whose jobs others may preempt, where there is one.
What is behind -- goes to sbatch; flags of this command stand in front of it.

Slurm is asked by one sinfo and one squeue in each --interval. There are never more than --max-nodes jobs,
--backlog that have not started, or --max-submissions in an hour. When jobs fail, or sbatch does, the next try comes
later each time, after 30 s up to an hour.

With --on-demand jobs are submitted only while leases wait at the resource manager ("sublet explain"), and a node
that has had no lease for --idle-timeout is drained and given back.

--explain asks Slurm once, says of each node of the partition what would be done with it and why, and does nothing;
where a harvester runs, by its flags unless others are given, and with what was wrong when it asked Slurm last.
--output json prints one object: partition, at, limit (why no more nodes are used), error (of the harvester's last
look, if any), nodes (node, state, use, why, job). USE is one of take, asked-for, harvested, give-back, leaving,
left-idle, not-usable. --output quiet prints the names of the nodes that would be taken.

With --metrics it serves metrics for Prometheus, to whoever can reach that address.

"sublet status" shows how it is doing. What it knows is harvest.json in the run directory; what jobs that failed have
written is in harvest there.`,
		examples: []string{
			"sublet slurm harvest --partition scavenge --max-nodes 16",
			"sublet slurm harvest --partition batch --on-demand --idle-timeout 2m --time 30 -- --account=astro",
			"sublet slurm harvest --partition scavenge --explain",
			"sublet slurm harvest --give-back",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			h := harvesting{flags: flags, policy: harvest.DefaultPolicy()}
			h.declare()
			return h.run
		},
	}
}

// harvesting is one run of sublet slurm harvest.
type harvesting struct {
	flags             *pflag.FlagSet
	dir               *string
	format            *outputFormat
	policy            harvest.Policy
	explain, giveBack bool
	metrics           *string
	stdout, stderr    io.Writer
}

func (h *harvesting) declare() {
	h.dir, h.format, h.metrics = directoryFlag(h.flags), outputFlag(h.flags), metricsFlag(h.flags)
	p, flags := &h.policy, h.flags
	flags.StringVarP(&p.Partition, "partition", "p", "", "the `PARTITION` of the jobs, and whose nodes are used")
	flags.StringVar(&p.QOS, "qos", "", "the `QOS` of the jobs (default: Slurm's)")
	flags.IntVar(&p.MaxNodes, "max-nodes", p.MaxNodes, "use `N` nodes at most")
	flags.IntVar(&p.KeepFree, "keep-free", p.KeepFree, "leave `N` idle nodes to others")
	flags.IntVar(&p.Backlog, "backlog", p.Backlog, "have `N` jobs at most that have not started")
	flags.IntVar(&p.MaxSubmissions, "max-submissions", p.MaxSubmissions, "call sbatch `N` times at most in an hour (default: 10 for each of --max-nodes, and 60 at least)")
	for _, d := range []struct {
		value      *time.Duration
		name, text string
	}{
		{&p.MinIdle, "min-idle", "use nodes that have been seen idle for so long"},
		{&p.IdleTimeout, "idle-timeout", "with --on-demand: give a node back that has had no lease for so long"},
		{&p.TimeMin, "time-min", "the least that Slurm may make of --time, so that a job fits before another (default: it may not)"},
		{&p.Interval, "interval", "ask Slurm so often"},
	} {
		flags.Var((*slurmTime)(d.value), d.name, d.text)
	}
	flags.Lookup("time-min").DefValue = "" // the text says it
	flags.VarP((*slurmTime)(&p.Time), "time", "t", "the time limit of each job")
	flags.BoolVar(&p.OnDemand, "on-demand", false, "only while leases wait for cores")
	flags.BoolVar(&h.explain, "explain", false, "say of each node what would be done with it, and do nothing")
	flags.BoolVar(&h.giveBack, "give-back", false, "end all jobs of the run directory's harvester")
}

func (h *harvesting) run(args []string, stdout, stderr io.Writer) error {
	const name = "slurm harvest"
	h.stdout, h.stderr = stdout, stderr
	if dash := h.flags.ArgsLenAtDash(); len(args) > 0 && dash != 0 {
		return usagef("%s: unexpected argument %q; options of sbatch go behind --; see: sublet help %s", name, args[0], name)
	}
	directory, err := runDirectory(*h.dir)
	if err != nil {
		return err
	}
	if err := h.recall(directory); err != nil {
		return err
	}
	h.policy.Names = harvest.NamesFor(directory, userID())
	if err := h.check(name); err != nil {
		return err
	}
	options := harvest.Options{Policy: h.policy, Job: harvest.Job{Directory: directory, Options: args}, Resources: harvest.Manager{Directory: directory}}
	if options.Job.Program, err = ownProgram(); err != nil {
		return err
	}
	if _, err := options.Job.Script("name", "node", h.policy); err != nil {
		return usagef("slurm %v", err)
	}
	level := slog.LevelInfo
	if h.explain || h.giveBack {
		level = slog.LevelError
	}
	if options.Log, err = newLogger(stderr, name, level); err != nil {
		return err
	}
	options.Cluster = slurm.New(slurm.Options{Log: options.Log})
	ctx, stop := untilSignal()
	defer stop()
	if h.explain {
		return h.writeExplanation(ctx, options)
	}
	if _, err := api.ReadAccess(directory); err != nil && !h.giveBack {
		return fmt.Errorf("%s: %w", name, err) // the nodes would have nobody to register with
	}
	return h.harvest(ctx, options)
}

// check refuses flags that do not go together.
func (h *harvesting) check(name string) error {
	switch {
	case h.explain && h.giveBack:
		return usagef("%s: --explain does nothing, and --give-back ends jobs; one of them", name)
	case h.flags.Changed("idle-timeout") && !h.policy.OnDemand:
		return usagef("%s: --idle-timeout goes with --on-demand: without it nodes are used as long as nobody else wants them", name)
	}
	if err := h.policy.Check(); err != nil {
		return usagef("%s: %v", name, err)
	}
	return nil
}

// recall takes flags that are not given from the harvester that runs, or ran last, where nothing is to be submitted.
func (h *harvesting) recall(directory string) error {
	if !h.explain && !h.giveBack {
		return nil
	}
	file, err := harvest.Read(directory)
	if errors.Is(err, harvest.ErrNotHarvested) {
		if h.giveBack && h.policy.Partition == "" {
			h.policy.Partition = "any" // jobs are found by their names
		}
		return nil
	}
	if err != nil {
		return err
	}
	given, fresh := map[string]string{}, h.policy
	h.flags.Visit(func(flag *pflag.Flag) { given[flag.Name] = flag.Value.String() })
	h.policy = file.Policy
	for flag, value := range given {
		if err := h.flags.Set(flag, value); err != nil {
			h.policy = fresh
			return err
		}
	}
	return nil
}

func (h *harvesting) harvest(ctx context.Context, options harvest.Options) error {
	harvester, err := harvest.Open(options)
	if err != nil {
		return err
	}
	defer harvester.Close()
	if h.giveBack {
		jobs, err := harvester.GiveBackAll(ctx)
		if err != nil {
			err = fmt.Errorf("slurm harvest: %w", err)
		}
		names := make([]string, len(jobs))
		for i, job := range jobs {
			names[i] = job.String()
		}
		return errors.Join(writeDone(h.stdout, *h.format, "job", "cancelled", names), err)
	}
	if *h.metrics != "" {
		listener, err := metrics.Listen(*h.metrics, harvest.Metrics(options.Job.Directory, options.Cluster), options.Log)
		if err != nil {
			return fmt.Errorf("slurm harvest: %w", err)
		}
		defer listener.Close()
	}
	options.Log.Info("harvesting", "partition", h.policy.Partition, "max_nodes", h.policy.MaxNodes, "interval", h.policy.Interval)
	if err := harvester.Run(ctx); err != nil {
		return err
	}
	if running, pending, _ := harvester.State().Counts(); running+pending > 0 {
		options.Log.Info("jobs go on until their time limit; to end them: sublet slurm harvest --give-back", "jobs", running+pending)
	}
	return nil
}

// explanation is what --explain prints.
type explanation struct {
	Partition string    `json:"partition"`
	At        time.Time `json:"at"`
	Limit     string    `json:"limit,omitempty"`
	// Error is what was wrong with the last look of the harvester that runs.
	Error string            `json:"error,omitempty"`
	Nodes []harvest.Verdict `json:"nodes"`
}

// writeExplanation looks once. Nodes count as idle for as long as a harvester has seen, or, where none has, for long enough.
func (h *harvesting) writeExplanation(ctx context.Context, options harvest.Options) error {
	file, err := harvest.Read(options.Job.Directory)
	if err != nil && !errors.Is(err, harvest.ErrNotHarvested) {
		return err
	}
	policy, running := options.Policy, harvest.Running(options.Job.Directory)
	if !running {
		file.Error = "" // of a harvester that was
	}
	snapshot, err := harvest.TakeSnapshot(ctx, options.Cluster, options.Resources)
	if err != nil {
		return errors.Join(fmt.Errorf("slurm harvest: %w", err), lastLook(file.Error))
	}
	if !running && !h.flags.Changed("min-idle") {
		policy.MinIdle = 0
	}
	state, _ := harvest.Observe(snapshot, file.State, policy)
	decision := harvest.Decide(snapshot, state, policy, snapshot.At)
	switch *h.format {
	case outputJSON:
		if decision.Nodes == nil {
			decision.Nodes = []harvest.Verdict{}
		}
		return output.WriteJSON(h.stdout, explanation{Partition: policy.Partition, At: snapshot.At, Limit: decision.Limit, Error: file.Error, Nodes: decision.Nodes})
	case outputQuiet:
		for _, node := range decision.Submit {
			fmt.Fprintln(h.stdout, node)
		}
		return nil
	}
	if len(decision.Nodes) == 0 {
		return fmt.Errorf("slurm harvest: no node is in partition %s; sinfo lists partitions and nodes", policy.Partition)
	}
	if said := lastLook(file.Error); said != nil {
		fmt.Fprintln(h.stderr, said)
	}
	return verdictList.write(h.stdout, *h.format, decision.Nodes)
}

// lastLook says what was wrong when the harvester that runs asked Slurm; nil: nothing.
func lastLook(wrong string) error {
	if wrong == "" {
		return nil
	}
	return fmt.Errorf("the harvester's last look: %s", wrong)
}

var verdictList = list[harvest.Verdict]{
	name:   func(v harvest.Verdict) string { return v.Node },
	header: "NODE\tSTATE\tUSE\tJOB\tWHY",
	row: func(v harvest.Verdict) []string {
		job := "-"
		if v.Job != 0 {
			job = v.Job.String()
		}
		return []string{v.Node, v.State, string(v.Use), job, v.Why}
	},
}
