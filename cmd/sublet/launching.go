package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// endPatience is how long managers may take to end when their grace is over.
const endPatience = 10 * time.Second

// launching is one run of sublet launch.
type launching struct {
	dir            string
	format         outputFormat
	stdout, stderr io.Writer
	part           nodePart
	flags          launchFlags
	options        launcher.Options
	log            *slog.Logger
	end            allocationEnd
}

func newLaunching() *launching { return &launching{} }

// signals are two contexts: the first ends with the first SIGTERM or Ctrl-C, the second with the second.
func signals() (first, second context.Context, stop func()) {
	got := make(chan os.Signal, 2)
	signal.Notify(got, unix.SIGTERM, unix.SIGINT)
	first, one := context.WithCancel(context.Background())
	second, two := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		for _, cancel := range []func(){one, two} {
			select {
			case <-got:
				cancel()
			case <-done:
				return
			}
		}
	}()
	return first, second, func() {
		signal.Stop(got)
		close(done)
		one()
		two()
	}
}

func (l *launching) run() error {
	var inside bool
	var err error
	l.options.Allocation, inside, err = slurm.AllocationFromEnvironment(os.Getenv)
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	if !inside {
		return errors.New(`launch: this is no Slurm allocation (SLURM_JOB_ID is not set). Get one, or submit a job that launches:
  salloc -N 2 --exclusive --mem=0 sublet launch
  sbatch -N 2 --exclusive --mem=0 --wrap "exec sublet launch"
  sublet slurm submit -N 2 --time 1h`)
	}
	if tasks := os.Getenv("SLURM_STEP_NUM_TASKS"); tasks != "" && tasks != "1" { // each would start managers on all nodes
		return usagef("launch: srun has started it as %s tasks, and one starts managers on all nodes: start it without srun, or by srun --overlap --ntasks=1 --nodes=1", tasks)
	}
	if l.log, err = newLogger(l.stderr, "launch", slog.LevelInfo); err != nil {
		return err
	}
	if l.options.Srun, err = slurm.New(slurm.Options{}).Srun(); err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	if l.options.Program, err = ownProgram(); err != nil {
		return err
	}
	ctx, force, stop := signals()
	defer stop()
	if l.flags.withResourceManager {
		service, err := l.startService(ctx)
		if err != nil {
			return err
		}
		err = l.withManagers(ctx, force)
		return errors.Join(err, service.End(force))
	}
	return l.withManagers(ctx, force)
}

// startService starts the resource manager, whose run directory is ours from then on.
func (l *launching) startService(ctx context.Context) (*launcher.Service, error) {
	listen := l.flags.listen
	if listen == "" {
		host, err := launcher.Address(ctx, l.options.Allocation, slurm.New(slurm.Options{Log: l.log}))
		if err != nil {
			return nil, err
		}
		listen = host
	}
	service, err := launcher.StartService(ctx, l.options.Program, listen, l.dir, l.stderr)
	if err != nil {
		return nil, err
	}
	l.dir = service.Directory()
	l.log.Info("resource manager", "directory", l.dir, "url", service.URL())
	return service, nil
}

// withManagers launches the executor managers, and ends them.
func (l *launching) withManagers(ctx, force context.Context) error {
	directory, err := runDirectory(l.dir)
	if err != nil {
		return err
	}
	client, err := api.Open(directory)
	if err != nil {
		if errors.Is(err, api.ErrNoResourceManager) {
			return fmt.Errorf("launch: %w, or let this command start one: --with-resource-manager", err)
		}
		return err
	}
	defer client.Close()
	l.options.Directory, l.options.Log = directory, l.log
	l.options.Cores, l.options.Memory = l.part.cores, int64(l.part.memory)
	l.options.Arguments = []string{"--drain-before", l.flags.drainBefore.String(), "--grace", l.flags.grace.String(), "--ends", l.end.first(ctx, l.options.Allocation, slurm.New(slurm.Options{Log: l.log}))}
	if l.options.Logs == "" {
		folders := filepath.Join(directory, launcher.Folders)
		if err := launcher.MakeFolder(folders); err != nil {
			return fmt.Errorf("launch: the directory of the managers' logs: %w", err)
		}
		l.options.Logs = filepath.Join(folders, l.options.Allocation.Job.String())
	}
	if l.options.Logs, err = filepath.Abs(l.options.Logs); err != nil {
		return err
	}
	managers, err := launcher.Start(ctx, client, l.options)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.end.watch(watching, time.Duration(l.flags.drainBefore), l.log, managers.Ends)
	}()
	err = l.lend(ctx, managers)
	stop()
	<-watched
	draining, cancel := context.WithTimeout(force, time.Duration(l.flags.grace)+endPatience)
	defer cancel()
	return errors.Join(err, managers.End(draining))
}

// lend waits for the managers, says who has registered, and stays until they or ctx end.
func (l *launching) lend(ctx context.Context, managers *launcher.Launch) error {
	told := func() bool { return ctx.Err() != nil } // to end
	shown := showRegistering(l.stderr, l.log, len(l.options.Allocation.Nodes))
	registered, err := managers.Register(ctx, time.Duration(l.flags.wait), shown.registered)
	shown.stop()
	switch {
	case told():
		return nil // before it began; what that has interrupted is no news
	case err != nil:
		return err
	}
	if err := l.write(registered); err != nil {
		return err
	}
	if missing := len(registered.Failed); missing > 0 && l.flags.all {
		return fmt.Errorf("launch: %d of %d executor managers have not registered, and --all wants all of them", missing, len(l.options.Allocation.Nodes))
	}
	failed := managers.Wait(ctx)
	if told() {
		l.log.Info("draining", "reason", "told to end")
		return nil
	}
	// All have ended by themselves: the allocation ends, or somebody has removed the nodes.
	if len(failed) == len(l.options.Allocation.Nodes) {
		return fmt.Errorf("launch: all executor managers have failed; the first: %w", failed[0])
	}
	l.log.Info("all executor managers have ended")
	return nil
}

// launchedRecord is what --output json prints.
type launchedRecord struct {
	Job       slurm.JobID `json:"job"`
	Directory string      `json:"directory"`
	launcher.Registered
}

// write says who has registered.
func (l *launching) write(registered launcher.Registered) error {
	cores, memory := 0, int64(0)
	var names []string
	for _, node := range registered.Nodes {
		cores += len(node.Cores)
		memory += node.Memory
		names = append(names, node.Name)
	}
	for _, failure := range registered.Failed {
		fmt.Fprintln(l.stderr, failure.Error())
	}
	switch l.format {
	case outputJSON:
		return output.WriteJSON(l.stdout, launchedRecord{Job: l.options.Allocation.Job, Directory: l.options.Directory, Registered: registered})
	case outputQuiet:
		for _, name := range names {
			if _, err := fmt.Fprintln(l.stdout, name); err != nil {
				return err
			}
		}
		return nil
	}
	missing := ""
	if n := len(registered.Failed); n > 0 {
		missing = fmt.Sprintf(", and %d not", n)
	}
	return writeRows(l.stdout, [][2]string{
		{"job", l.options.Allocation.Job.String()},
		{"run directory", l.options.Directory},
		{"registered", fmt.Sprintf("%s in %v: %s%s", count(len(names), "node"), registered.Took.Round(10*time.Millisecond), slurm.Fold(names), missing)},
		{"lent", fmt.Sprintf("%s, %s", count(cores, "core"), bytesize.Format(memory))},
		{"logs", l.options.Logs},
	})
}

// runDirectory is the absolute path of the run directory that is meant, without a link such as ~/.sublet/current, which will lead
// elsewhere some day.
func runDirectory(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = api.Directory(); err != nil {
			return "", err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if there, err := filepath.EvalSymlinks(dir); err == nil { // else opening it says what is wrong
		dir = there
	}
	return dir, nil
}

// ownProgram is the path of the running sublet.
func ownProgram() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("the path of this program: %w", err)
	}
	return path, nil
}
