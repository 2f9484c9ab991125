package harvest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/slurm"
)

// Job says what the jobs run.
type Job struct {
	// Directory is the run directory, Program sublet; both absolute paths, the same on all nodes.
	Directory, Program string
	// Arguments of the executor managers.
	Arguments []string
	// Options of sbatch beside those that follow from the policy; they go first.
	Options []string
}

// Logs is the folder of what jobs write, one file for each; that of a job that has not failed goes with it.
func (j Job) Logs() string { return filepath.Join(j.Directory, "harvest") }

// log is the file of what a job writes.
func (j Job) log(name string) string { return filepath.Join(j.Logs(), name+".log") }

// farewell is how long before its end a job is told of it: the time to drain.
const farewell = "60"

// Script is what sbatch is given for a node.
//
// The job has all of the node. It is not requeued: where the next one goes is decided then. The executor manager
// takes the place of the script, so that it gets the signals itself, also those that Slurm sends to scripts
// alone when a job is preempted (preempt_send_user_signal) or its time is nearly over.
func (j Job) Script(name, node string, policy Policy) (slurm.Script, error) {
	if strings.ContainsAny(j.Directory+j.Program, "\n\r\x00") {
		return slurm.Script{}, errors.New("harvest: a path with a line break in it can not be written into a script")
	}
	if strings.Contains(j.Directory, `\`) {
		return slurm.Script{}, fmt.Errorf("harvest: the run directory is %q, and sbatch takes \\ in names of files for something else; name another with --dir", j.Directory)
	}
	if err := launcher.CheckOptions(j.Options); err != nil {
		return slurm.Script{}, fmt.Errorf("harvest: %w", err)
	}
	if at := slices.IndexFunc(j.Options, (slurm.Option{Long: "job-name", Short: 'J'}).Is); at >= 0 {
		return slurm.Script{}, fmt.Errorf("harvest: %s behind --: jobs are known to be ours by their names", j.Options[at])
	}
	options := append(append([]string{}, j.Options...),
		"--no-requeue", // and below: an option of a plugin may take one of these for its value
		"--partition="+policy.Partition,
		"--nodes=1", "--ntasks=1", "--nodelist="+node, "--exclusive", "--mem=0",
		"--time="+slurm.FormatTime(policy.Time),
		"--no-requeue",
		"--comment="+launcher.Tag{Kind: launcher.KindHarvest, Directory: j.Directory}.Comment(),
		"--chdir="+j.Directory, "--output="+escaped(j.log(name)), "--open-mode=append",
		"--propagate=NONE",
	)
	if policy.QOS != "" {
		options = append(options, "--qos="+policy.QOS)
	}
	if policy.TimeMin > 0 {
		options = append(options, "--time-min="+slurm.FormatTime(policy.TimeMin))
	}
	if policy.Time > 2*time.Minute {
		options = append(options, "--signal=B:TERM@"+farewell)
	}
	words := append([]string{"executor-manager", "--name", "%N"}, j.Arguments...)
	return slurm.Script{Name: name, Options: options, Body: launcher.Body(j.Program, j.Directory, words)}, nil
}

// escaped has sbatch take a file's name as it is: % begins one of its patterns.
func escaped(path string) string { return strings.ReplaceAll(path, "%", "%%") }
