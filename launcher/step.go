package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// step is one srun, and the managers that it has started.
type step struct {
	group
	command  *exec.Cmd
	lifeline io.WriteCloser
	words    words // of srun, the last
	logs     func(node string) string
	before   map[string]int64 // bytes that the logs had before it: those of a job that was requeued
	ended    chan struct{}
	err      error // of the process, once it has ended
}

// arguments are those of srun for the managers of some nodes.
func (o *Options) arguments(g group, name string) []string {
	args := []string{
		"--job-name=" + JobName,
		"--nodes=" + strconv.Itoa(len(g.nodes)), "--ntasks=" + strconv.Itoa(len(g.nodes)), "--ntasks-per-node=1", "--nodelist=" + slurm.Fold(g.nodes),
		"--cpu-bind=none",         // managers pin executors; a mask of their own would be inherited
		"--mem=0",                 // all that the job has, and no share of it that other steps then lack
		"--gres=none",             // GPUs stay with the job's other steps
		"--mpi=none",              // managers are no ranks
		"--propagate=NONE",        // limits of the submitter's host, such as of locked memory, are not those of nodes
		"--no-kill",               // a node that dies,
		"--kill-on-bad-exit=0",    // a manager that fails
		"--wait=0",                // or ends, takes no other along
		"--input=all",             // every manager has the lifeline
		"--open-mode=append",      // of a job that was requeued
		"--output=" + o.log("%N"), // per node
	}
	if g.cpus > 0 {
		args = append(args, "--cpus-per-task="+strconv.Itoa(g.cpus))
	}
	if o.Overlap {
		args = append(args, "--overlap")
	}
	args = append(args, o.Program, "executor-manager", "--lifeline", "--dir", o.Directory, "--name", name)
	if name == nodePattern { // another job may take it while this one starts
		args = append(args, "--name-if-taken", name+suffix(o.Allocation.Job))
	}
	if memory := o.Memory; memory > 0 {
		args = append(args, "--memory", strconv.FormatInt(memory, 10))
	} else if memory = o.Allocation.Memory; memory > 0 {
		args = append(args, "--memory", strconv.FormatInt(memory, 10))
	}
	return append(args, o.Arguments...)
}

// log is the file of what a node's manager writes.
func (o *Options) log(node string) string { return filepath.Join(o.Logs, node+".log") }

// wishes of others that srun would take from the environment, and that contradict ours.
var wishes = []string{
	"SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU", "SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK",
	"SLURM_EXACT", "SLURM_EXCLUSIVE", "SLURM_OVERLAP", "SLURM_WHOLE", "SLURM_THREADS_PER_CORE", "SLURM_HINT", "SLURM_GRES", "SLURM_GPUS",
	"SLURM_GPUS_PER_NODE", "SLURM_GPUS_PER_TASK", "SLURM_GPUS_PER_SOCKET", "SLURM_CPUS_PER_GPU", "SLURM_NTASKS_PER_GPU", "SLURM_GPU_BIND", "SLURM_GPU_FREQ",
	"SLURM_NTASKS_PER_CORE", "SLURM_NTASKS_PER_SOCKET", "SLURM_EXPORT_ENV", "SLURM_KILL_BAD_EXIT",
	"SLURM_LABELIO", "SLURM_TIMELIMIT", "SLURM_STDERRMODE", "SLURM_IMMEDIATE", "SLURM_MULTI_PROG", "SLURM_DISTRIBUTION", "SLURM_STEP_RELATIVE",
	"SLURM_NO_KILL", "SLURM_CONSTRAINT", "SLURM_RESV_PORTS", "SLURM_BCAST",
}

// environment is srun's, and with it the managers'.
func environment(own []string, directory string) []string {
	kept := slices.DeleteFunc(slices.Clone(own), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		// SRUN_* are options of every srun that the user starts by hand, such as SRUN_EXPORT_ENV and SRUN_CONTAINER.
		return slices.Contains(wishes, name) || strings.HasPrefix(name, "SRUN_") || name == api.DirectoryVariable
	})
	return append(kept, api.DirectoryVariable+"="+directory)
}

// startStep starts the managers of some nodes. said gets each line that srun writes.
func (o *Options) startStep(g group, name string, said func(line string)) (*step, error) {
	s := &step{group: g, logs: o.log, before: map[string]int64{}, ended: make(chan struct{})}
	for _, node := range g.nodes {
		if info, err := os.Stat(o.log(node)); err == nil {
			s.before[node] = info.Size()
		}
	}
	s.command = exec.Command(o.Srun, o.arguments(g, name)...) //nolint:noctx // it is ended by its lifeline, see end
	s.command.Env = environment(os.Environ(), o.Directory)
	// A terminal's Ctrl-C is ours to act on: srun's own group does not get it.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := s.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.lifeline = lifeline
	stderr, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.command.Stdout, s.command.Stderr = write, write
	err = s.command.Start()
	write.Close()
	if err != nil {
		stderr.Close()
		lifeline.Close()
		return nil, fmt.Errorf("launch: srun: %w", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.words.add(lines.Text())
			said(lines.Text())
		}
		_, _ = io.Copy(io.Discard, stderr) // behind a line that is too long
	}()
	go func() {
		s.err = s.command.Wait()
		select { // a child of srun may hold its standard error
		case <-read:
		case <-time.After(time.Second):
		}
		stderr.Close()
		close(s.ended)
	}()
	return s, nil
}

// killPatience is how long srun may take to kill what it has started, and then to end itself.
const killPatience = 5 * time.Second

// started tells whether Slurm has started a manager. srun says so only after some seconds; files of what they write are made first, and
// where they were there before, managers write at once.
func (s *step) started() bool {
	return slices.ContainsFunc(s.nodes, func(node string) bool {
		info, err := os.Stat(s.logs(node))
		before, was := s.before[node]
		return err == nil && (!was || info.Size() != before)
	})
}

// end has the managers drain and end, and kills them when ctx ends.
func (s *step) end(ctx context.Context) error {
	s.lifeline.Close()
	if !s.started() { // srun waits for CPUs, and looks at nothing but signals
		if err := s.command.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	// srun kills the tasks at SIGTERM, and gives up on them at SIGKILL, which slurmd then looks after.
	for _, signal := range []os.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := s.command.Process.Signal(signal); errors.Is(err, os.ErrProcessDone) {
			break
		}
		select {
		case <-s.ended:
			return fmt.Errorf("launch: the executor managers on %s did not end when told to, and were killed; sublet node list shows whether one is left", slurm.Fold(s.nodes))
		case <-time.After(killPatience):
		}
	}
	<-s.ended
	return fmt.Errorf("launch: srun did not end the executor managers on %s; scancel the job if sublet node list still shows them", slurm.Fold(s.nodes))
}
