package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

func submitCommand() *command {
	return &command{
		name: "slurm submit", synopsis: "-N NODES [-- SBATCH OPTIONS]", summary: "submit a job that lends its nodes",
		details: `
It writes a batch script that runs "sublet launch", and submits it with sbatch. When the job starts, its
nodes register with the resource manager of the run directory; at its end they drain.

The job has its nodes to itself, with all their memory, unless --cores says how many CPUs of each to
have: then others can use the rest, and --memory says how much memory to have.

--time takes what sbatch takes (30 is minutes; 1:30:00; 1-12:00:00; UNLIMITED, or 0), and 90s, 30m, 1h.
What is behind -- goes into the script as options of sbatch: -- --qos=scavenger -A astro. Flags of this
command stand in front of it.

Script, stdout, stderr and the managers' logs are kept in slurm/DATE in the run directory, and slurm/job-ID
links there. If sbatch fails they are kept as well, with its words in stderr. --dry-run prints the
script and does nothing.

The job serves the run directory that is meant now (--dir, SUBLET_DIR, or where ~/.sublet/current leads). With
--with-resource-manager the job starts the resource manager of --dir itself, on its first node.

--output json prints one object: job, folder; with --dry-run: script. --output quiet prints the job's number.`,
		examples: []string{
			"sublet slurm submit -N 4 --time 1h",
			"sublet slurm submit -N 2 --time 30 -p scavenge --cores 8 --memory 16G -- --qos=low --requeue",
			"sublet slurm submit -N 1 --dry-run",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			s := submitting{flags: flags}
			s.dir, s.format = directoryFlag(flags), outputFlag(flags)
			flags.IntVarP(&s.submission.Nodes, "nodes", "N", 0, "lend `N` nodes")
			flags.VarP(&s.time, "time", "t", "the job's time limit (default: the partition's)")
			flags.Lookup("time").DefValue = "" // the text says it
			flags.StringVarP(&s.submission.Partition, "partition", "p", "", "the `PARTITION` (default: Slurm's)")
			s.part.declare(flags)
			s.launch.declare(flags)
			flags.BoolVar(&s.dry, "dry-run", false, "print the script, and do nothing")
			return s.run
		},
	}
}

// submitting is one run of sublet slurm submit.
type submitting struct {
	flags      *pflag.FlagSet
	dir        *string
	format     *outputFormat
	time       slurmTime
	part       nodePart
	launch     launchFlags
	dry        bool
	submission launcher.Submission
}

func (s *submitting) run(args []string, stdout, stderr io.Writer) error {
	if err := s.check(args); err != nil {
		return err
	}
	var err error
	if s.submission.Directory, err = runDirectory(*s.dir); err != nil {
		return err
	}
	if s.submission.Program, err = ownProgram(); err != nil {
		return err
	}
	s.submission.Time, s.submission.Options = time.Duration(s.time), args
	s.submission.Cores, s.submission.Memory = s.part.cores, int64(s.part.memory)
	s.submission.Arguments = s.launch.words()
	if s.dry {
		return s.writeScript(stdout)
	}
	if !s.launch.withResourceManager {
		// The nodes would have nobody to register with: better to say so now than in a log some hours later.
		if _, err := api.ReadAccess(s.submission.Directory); err != nil {
			return fmt.Errorf("slurm submit: %w, or let the job start one: --with-resource-manager --dir DIRECTORY", err)
		}
	}
	ctx, client, stop, err := slurmClient("slurm submit", stderr)
	if err != nil {
		return err
	}
	defer stop()
	submitted, err := s.submission.Submit(ctx, client, time.Now())
	if err != nil {
		return fmt.Errorf("slurm submit: %w", err)
	}
	switch *s.format {
	case outputJSON:
		return output.WriteJSON(stdout, submitted)
	case outputQuiet:
		_, err := fmt.Fprintln(stdout, submitted.Job)
		return err
	}
	return writeRows(stdout, [][2]string{{"job", submitted.Job.String()}, {"folder", submitted.Folder}})
}

func (s *submitting) check(args []string) error {
	const name = "slurm submit"
	if dash := s.flags.ArgsLenAtDash(); len(args) > 0 && dash != 0 {
		return usagef("%s: unexpected argument %q; options of sbatch go behind --; see: sublet help %s", name, args[0], name)
	}
	if s.submission.Nodes < 1 {
		return usagef("%s: how many nodes? -N 4", name)
	}
	if s.submission.Nodes > slurm.MaxHosts { // sbatch would take another number for it
		return usagef("%s: -N %d: Slurm has %d nodes at most", name, s.submission.Nodes, slurm.MaxHosts)
	}
	if s.flags.Changed("time") && s.time == 0 { // as for sbatch
		s.time = slurmTime(slurm.Unlimited)
	}
	if s.flags.Changed("time") && s.time < slurmTime(time.Minute) {
		return usagef("%s: --time %s: Slurm counts minutes; at least 1m", name, s.time.String())
	}
	if s.launch.withResourceManager && *s.dir == "" && os.Getenv(api.DirectoryVariable) == "" {
		return usagef("%s: --with-resource-manager needs --dir DIRECTORY, or SUBLET_DIR, by which programs will find it", name)
	}
	if err := s.part.check(name, s.flags); err != nil {
		return err
	}
	return s.launch.check(name)
}

// writeScript prints the script as it would be submitted; its folder is one that will be made.
func (s *submitting) writeScript(stdout io.Writer) error {
	script, err := s.submission.Script(filepath.Join(s.submission.Directory, launcher.Folders, "DATE"))
	if err != nil {
		return fmt.Errorf("slurm submit: %w", err)
	}
	text, err := script.Text()
	if err != nil {
		return fmt.Errorf("slurm submit: %w", err)
	}
	if *s.format == outputJSON {
		return output.WriteJSON(stdout, map[string]string{"script": text})
	}
	_, err = io.WriteString(stdout, text)
	return err
}
