package launcher

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/slurm"
)

func TestScript(t *testing.T) {
	s := Submission{Nodes: 4, Time: 90 * time.Minute, Partition: "batch", Directory: "/shared/run", Program: "/opt/sublet/bin/sublet", Options: []string{"--qos=low", "-A", "astro"}}
	script, err := s.Script("/shared/run/slurm/x")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--nodes=4", "--time=0-01:30:00", "--partition=batch", "--exclusive", "--mem=0", "--propagate=NONE", "--no-kill", "--open-mode=append",
		"--output=/shared/run/slurm/x/stdout", "--error=/shared/run/slurm/x/stderr", "--comment=sublet launch /shared/run",
	} {
		if !slices.Contains(script.Options, want) {
			t.Errorf("there is no %s in %q", want, script.Options)
		}
	}
	if last := script.Options[len(script.Options)-3:]; !slices.Equal(last, s.Options) {
		t.Errorf("sbatch's own options are not the last, which count: %q", script.Options)
	}
	s.Cores, s.Memory, s.Time = 8, 1<<30+1, slurm.Unlimited
	script, err = s.Script("/shared/x")
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(script.Options, "--exclusive") || !slices.Contains(script.Options, "--cpus-per-task=8") || !slices.Contains(script.Options, "--mem=1025M") ||
		!slices.Contains(script.Options, "--time=UNLIMITED") {
		t.Errorf("a part of each node: %q", script.Options)
	}
	for _, bad := range [][]string{{"script.sh"}, {"--qos=low", "script.sh"}, {"-A", "astro", "script.sh"}, {"--"}, {""}, {"--array=1-9"}, {"-a1-9"}, {"-W"}, {"--comm=x"}, {"-M", "other"}} {
		s.Options = bad
		if _, err := s.Script("/x"); err == nil {
			t.Errorf("%q is taken for options of sbatch", bad)
		}
	}
	s.Options = nil
	for _, folder := range []string{"/shared/100%/x", `/shared/a\b`} {
		if _, err := s.Script(folder); err == nil || !strings.Contains(err.Error(), "names of files") {
			t.Errorf("%s is taken for a folder: %v", folder, err)
		}
	}
	s.Directory = "/a\nb"
	if _, err := s.Script("/x"); err == nil {
		t.Error("a line break in a path is no error")
	}
}

// The script's own words are read by a shell as they are.
func TestScriptIsReadByAShell(t *testing.T) {
	folder := filepath.Join(t.TempDir(), `it's a "$HOME" dir`)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "sublet")
	buildtest.Script(t, program, "printf '%s\\n' \"$SUBLET_BIN\" \"$SUBLET_DIR\" \"$@\"\n")
	s := Submission{Nodes: 1, Directory: folder, Program: program, Arguments: []string{"--listen=a b;c", ""}}
	script, err := s.Script(folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.Text()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh")
	command.Stdin = strings.NewReader(text)
	out, err := command.CombinedOutput()
	want := strings.Join([]string{folder, folder, "launch", "--dir", folder, "--logs", folder, "--listen=a b;c", "", ""}, "\n")
	if err != nil || string(out) != want {
		t.Errorf("the program got\n%s\n%v, not\n%s", out, err, want)
	}
}

// sbatch refuses: the script is kept, with what sbatch said.
func TestRefusedSubmissionIsKept(t *testing.T) {
	folder := t.TempDir()
	sbatch := filepath.Join(folder, "sbatch")
	buildtest.Script(t, sbatch, "cat >/dev/null\necho 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2\nexit 1\n")
	s := Submission{Nodes: 1, Directory: folder, Program: "/bin/sublet"}
	now := time.Now()
	submitted, err := s.Submit(t.Context(), slurm.New(slurm.Options{Sbatch: sbatch}), now)
	if err == nil || !strings.Contains(err.Error(), "Invalid qos specification") || !strings.Contains(err.Error(), submitted.Folder) {
		t.Fatalf("the error is %v", err)
	}
	if strings.Contains(err.Error(), "look with") {
		t.Errorf("there may be a job after a refusal: %v", err)
	}
	script, err := os.ReadFile(filepath.Join(submitted.Folder, "script"))
	if err != nil || !strings.Contains(string(script), "#SBATCH --nodes=1\n") {
		t.Errorf("the script: %v\n%s", err, script)
	}
	said, err := os.ReadFile(filepath.Join(submitted.Folder, "stderr"))
	if err != nil || !strings.Contains(string(said), "Invalid qos specification") {
		t.Errorf("what sbatch said: %v\n%s", err, said)
	}
	for name, does := range map[string]string{
		"is killed": "kill -KILL $$", "says something else": "cat >/dev/null; echo hello",
		"loses the answer": "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
	} {
		buildtest.Script(t, sbatch, does+"\n")
		_, err := s.Submit(t.Context(), slurm.New(slurm.Options{Sbatch: sbatch}), now)
		if err == nil || !strings.Contains(err.Error(), "it may be submitted all the same: look with sublet slurm list") {
			t.Errorf("sbatch %s: %v", name, err)
		}
	}

	again, err := s.Submit(t.Context(), slurm.New(slurm.Options{Sbatch: filepath.Join(folder, "missing")}), now)
	if !errors.Is(err, slurm.ErrNoSlurm) || again.Folder == submitted.Folder {
		t.Errorf("a second one within the second: %v in %s", err, again.Folder)
	}
}

// A cluster that has lost its state counts its jobs anew: the link of a number leads to the last job that had it.
func TestNumberOfAJobComesAgain(t *testing.T) {
	folder := t.TempDir()
	sbatch := filepath.Join(folder, "sbatch")
	buildtest.Script(t, sbatch, "cat >/dev/null\necho 1\n")
	s := Submission{Nodes: 1, Directory: folder, Program: "/bin/sublet"}
	for range 2 {
		submitted, err := s.Submit(t.Context(), slurm.New(slurm.Options{Sbatch: sbatch}), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		there, err := filepath.EvalSymlinks(filepath.Join(folder, Folders, "job-1"))
		if want, err2 := filepath.EvalSymlinks(submitted.Folder); err != nil || err2 != nil || there != want {
			t.Errorf("job-1 leads to %s, %v; want %s", there, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(folder, Folders, ".*")); err != nil || len(left) > 0 {
		t.Errorf("there lie %v, %v", left, err)
	}
}
