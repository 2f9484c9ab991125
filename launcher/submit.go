package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// Submission is a job that is to launch executor managers on all its nodes.
type Submission struct {
	Nodes int
	// Time is the job's limit; 0: the partition's.
	Time      time.Duration
	Partition string
	// Directory is the run directory, an absolute path.
	Directory string
	// Program is the absolute path of sublet.
	Program string
	// Cores and Memory (bytes) of each node; 0: all of it.
	Cores  int
	Memory int64
	// Arguments of sublet launch beside those that follow from other fields.
	Arguments []string
	// Options of sbatch, as on its command line. They count where they contradict what follows from other fields, but for those that
	// CheckOptions refuses.
	Options []string
}

// Script is what sbatch gets. Its files are to be in folder.
func (s Submission) Script(folder string) (slurm.Script, error) {
	if strings.ContainsAny(folder+s.Program+s.Directory, "\n\r\x00") {
		return slurm.Script{}, errors.New("a path with a line break in it can not be written into a script")
	}
	if strings.ContainsAny(folder, patterns) { // better said now than by the job
		return slurm.Script{}, fmt.Errorf("the job's folder is %q, and Slurm takes %% and \\ in names of files for something else; take another run directory (--dir)", folder)
	}
	if err := CheckOptions(s.Options); err != nil {
		return slurm.Script{}, err
	}
	options := []string{
		"--comment=" + Tag{Kind: KindLaunch, Directory: s.Directory}.Comment(),
		"--nodes=" + strconv.Itoa(s.Nodes),
		"--ntasks-per-node=1",
		"--propagate=NONE",
		"--no-kill", // else all of the job ends, or is requeued, when one node dies
		"--open-mode=append",
		"--output=" + filepath.Join(folder, "stdout"),
		"--error=" + filepath.Join(folder, "stderr"),
	}
	if s.Time != 0 {
		options = append(options, "--time="+slurm.FormatTime(s.Time))
	}
	if s.Partition != "" {
		options = append(options, "--partition="+s.Partition)
	}
	if s.Cores > 0 {
		options = append(options, "--cpus-per-task="+strconv.Itoa(s.Cores))
	} else {
		options = append(options, "--exclusive")
	}
	switch {
	case s.Memory > 0:
		const mib = 1 << 20
		options = append(options, fmt.Sprintf("--mem=%dM", (s.Memory+mib-1)/mib))
	case s.Cores == 0:
		options = append(options, "--mem=0")
	}
	words := append([]string{"launch", "--dir", s.Directory, "--logs", folder}, s.Arguments...)
	return slurm.Script{Name: JobName, Options: append(options, s.Options...), Body: Body(s.Program, s.Directory, words)}, nil
}

// refused are options of sbatch with which a job would be another than the one that is expected.
var refused = []struct {
	slurm.Option
	why string
}{
	{slurm.Option{Long: "array", Short: 'a'}, "jobs are submitted one by one"},
	{slurm.Option{Long: "clusters", Short: 'M'}, "sinfo and squeue would be asked of this cluster, and the job be elsewhere; SLURM_CLUSTERS is for all of them"},
	{slurm.Option{Long: "comment"}, "a job's comment is how it is known to be Sublet's"},
	{slurm.Option{Long: "test-only"}, "there would be no job; --dry-run and --explain say what would be done"},
	{slurm.Option{Long: "wait", Short: 'W'}, "sbatch would go on until the end of the job"},
	{slurm.Option{Long: "wrap"}, "the script is Sublet's own"},
}

// CheckOptions refuses what is no option of sbatch, or the value of one, and options that jobs of ours can not have.
func CheckOptions(words []string) error {
	for _, word := range words {
		for _, option := range refused {
			if option.Is(word) {
				return fmt.Errorf("%s behind --: %s", word, option.why)
			}
		}
	}
	if err := slurm.CheckWords(words); err != nil {
		return fmt.Errorf("behind --: %w", err)
	}
	return nil
}

// Body is what a job's script does: it becomes sublet, for a run directory.
func Body(program, directory string, words []string) string {
	body := binaries.Directory + "=" + quoted(filepath.Dir(program)) + " " + api.DirectoryVariable + "=" + quoted(directory) + " exec " + quoted(program)
	for _, word := range words {
		body += " " + quoted(word)
	}
	return body + "\n"
}

// quoted is a word of a shell's.
func quoted(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Submitted says what came of a submission.
type Submitted struct {
	Job slurm.JobID `json:"job"`
	// Folder has script, stdout, stderr, and the logs of the managers.
	Folder string `json:"folder"`
}

// Submit writes the script into a folder of its own in the run directory, and submits it. The folder stays also where that fails,
// and has the reason in stderr.
func (s Submission) Submit(ctx context.Context, client *slurm.Client, now time.Time) (Submitted, error) {
	folder, err := makeFolder(s.Directory, now)
	if err != nil {
		return Submitted{}, err
	}
	submitted := Submitted{Folder: folder}
	script, err := s.Script(folder)
	text := ""
	if err == nil {
		text, err = script.Text()
	}
	if err != nil {
		return submitted, errors.Join(err, os.Remove(folder)) // nothing is in it
	}
	if err := os.WriteFile(filepath.Join(folder, "script"), []byte(text), 0o700); err != nil { //nolint:gosec // a script runs
		return submitted, err
	}
	submitted.Job, err = client.Submit(ctx, script)
	if err != nil {
		_ = os.WriteFile(filepath.Join(folder, "stderr"), []byte(err.Error()+"\n"), 0o600) // the error itself is told
		if slurm.MayBeSubmitted(err) {
			err = fmt.Errorf("%w\nit may be submitted all the same: look with sublet slurm list before you submit it again", err)
		}
		return submitted, fmt.Errorf("%w\nthe script is %s", err, filepath.Join(folder, "script"))
	}
	link := filepath.Join(filepath.Dir(folder), "job-"+submitted.Job.String())
	if err := relink(filepath.Base(folder), link); err != nil {
		return submitted, fmt.Errorf("job %d is submitted, but %w", submitted.Job, err)
	}
	return submitted, nil
}

// relink makes a link, also in the place of one: a cluster counts its jobs anew some day.
func relink(target, link string) error {
	fresh := filepath.Join(filepath.Dir(link), "."+target)
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, link); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
}

// Folders is where the folders of jobs are in a run directory.
const Folders = "slurm"

// makeFolder makes a folder of its own for a job.
func makeFolder(directory string, now time.Time) (string, error) {
	parent := filepath.Join(directory, Folders)
	if err := MakeFolder(parent); err != nil {
		return "", fmt.Errorf("the folder of the job: %w", err)
	}
	name := now.UTC().Format("20060102-150405")
	for i := 1; ; i++ {
		folder := filepath.Join(parent, name)
		if i > 1 {
			folder += "-" + strconv.Itoa(i)
		}
		err := os.Mkdir(folder, 0o700)
		if err == nil {
			return folder, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("the folder of the job: %w", err)
		}
	}
}
