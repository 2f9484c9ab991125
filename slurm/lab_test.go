//go:build slurmlab

package slurm_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/slurm"
)

// These tests need a Slurm whose nodes, at least two, are idle and may be drained by this user: the one of make slurm-lab,
// or one that SLURM_CONF says.

// commandTime is what a command of Slurm may take on a busy machine.
const commandTime = time.Minute

func lab(t *testing.T) *slurm.Client {
	t.Helper()
	if os.Getenv("SLURM_LAB") == "" && os.Getenv("SLURM_CONF") == "" {
		t.Fatal("this test needs a Slurm cluster of its own: make slurm-lab, or SLURM_CONF has to say which")
	}
	return slurm.New(slurm.Options{Deadline: commandTime})
}

// shared makes a folder that all nodes have: in the lab, where each has a /tmp of its own, beside the lab's files.
func shared(t *testing.T) string {
	t.Helper()
	lab := os.Getenv("SLURM_LAB")
	if lab == "" {
		return t.TempDir()
	}
	folder, err := os.MkdirTemp(lab, "slurm-test.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// submit submits a job that ends with the test.
func submit(t *testing.T, client *slurm.Client, s slurm.Script) slurm.JobID {
	t.Helper()
	id, err := client.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Cancel(context.Background(), id); err != nil {
			t.Error(err)
		}
	})
	return id
}

// await waits until what squeue says of a job is so.
func await(t *testing.T, client *slurm.Client, id slurm.JobID, what string, is func(slurm.Job) bool) slurm.Job {
	t.Helper()
	var job slurm.Job
	deadline := time.After(2 * time.Minute)
	for {
		jobs, err := client.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(jobs, func(j slurm.Job) bool { return j.ID == id }); i >= 0 {
			if job = jobs[i]; is(job) {
				return job
			}
		}
		select {
		case <-deadline:
			t.Fatalf("waited for job %v to be %s: %+v", id, what, job)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// scontrol is what it prints of a hostlist.
func scontrol(t *testing.T, show, list string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "scontrol", "show", show, list).Output()
	if err != nil {
		t.Fatalf("scontrol show %s %s: %v", show, list, err)
	}
	return strings.TrimSpace(string(out))
}

func TestHostlistsAsScontrol(t *testing.T) {
	lab(t)
	for _, list := range []string{
		"n1", "n[1-4]", "n[1-3,08],login", "n[08-11]", "n[9-11]", "n[099-101]", "n3,n1,n3", "n[3,1,2]", "r[1-2]n[1-3]",
		"[1-2]", "a_b[7]", "gpu-[0-1],x1", "n9,n010,n11", "n[0-99],m[000-120]", "rack[01-03]node[1-12]", "n99,n100,n0100",
	} {
		names, err := slurm.Expand(list)
		if err != nil {
			t.Errorf("%s: %v", list, err)
			continue
		}
		if diff := cmp.Diff(strings.Fields(scontrol(t, "hostnames", list)), names); diff != "" {
			t.Errorf("%s (-scontrol +Expand):\n%s", list, diff)
		}
		if got, want := slurm.Fold(names), scontrol(t, "hostlist", strings.Join(names, ",")); got != want {
			t.Errorf("%v: %s, scontrol %s", names, got, want)
		}
	}
}

func TestNodesOfTheCluster(t *testing.T) {
	client := lab(t)
	nodes, err := client.Nodes(t.Context())
	if err != nil || len(nodes) < 2 {
		t.Fatal(nodes, err)
	}
	for _, n := range nodes {
		if n.State != slurm.NodeIdle || n.CPUs < 1 || n.Memory < 1<<20 || n.Address == "" || !slices.Contains(n.Partitions, "batch") {
			t.Errorf("%+v", n)
		}
	}

	name := nodes[0].Name
	for _, args := range [][]string{{"State=DRAIN", "Reason=a b"}, {"State=RESUME"}} {
		out, err := exec.CommandContext(t.Context(), "scontrol", append([]string{"update", "NodeName=" + name}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		nodes, err := client.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := nodes[slices.IndexFunc(nodes, func(n slurm.Node) bool { return n.Name == name })]
		if drained := args[0] == "State=DRAIN"; n.Is("DRAIN") != drained || drained && n.Reason != "a b" {
			t.Errorf("%v: %+v", args, n)
		}
	}
}

// A job with options that need quoting: they arrive, it runs, it sees its allocation, squeue tells of it, it ends.
func TestJobOfTheCluster(t *testing.T) {
	client := lab(t)
	folder := shared(t)
	const comment = `it's "a" \comment # with: hetjob $(x)`
	seen := filepath.Join(folder, "environment")
	id := submit(t, client, slurm.Script{
		Name: "two nodes",
		Options: []string{
			"-N", "2", "--partition=batch", "--time=0-00:10:00", "--comment=" + comment, "--mem=100", "--ntasks-per-node=1",
			"--output=" + filepath.Join(folder, "out put"), "--propagate=NONE",
		},
		Body: "env -0 >" + seen + ".new; mv " + seen + ".new " + seen + "; exec sleep 1000",
	})
	job := await(t, client, id, "running", func(j slurm.Job) bool {
		_, err := os.Stat(seen)
		return j.Running() && err == nil
	})
	if job.Name != "two nodes" || job.Comment != comment || job.Partition != "batch" || job.Limit != 10*time.Minute || job.NodeCount != 2 ||
		len(job.Nodes) != 2 || job.MemoryPerNode != 100<<20 || job.Ends.Sub(job.Started) != 10*time.Minute || job.Pending() || job.Ended() {
		t.Errorf("%+v", job)
	}
	if ends, err := client.Ends(t.Context(), id); err != nil || !ends.Equal(job.Ends) {
		t.Errorf("it ends at %v, %v; the queue says %v", ends, err, job.Ends)
	}
	if _, err := os.Stat(filepath.Join(folder, "out put")); err != nil {
		t.Error(err)
	}

	nodes, err := client.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if used := slices.Contains(job.Nodes, n.Name); used != (n.State == slurm.NodeMixed || n.State == slurm.NodeAllocated) ||
			used != (n.AllocatedCPUs > 0) || used != (n.AllocatedMemory == 100<<20) {
			t.Errorf("%+v, beside %+v", n, job)
		}
	}

	a := allocation(t, seen)
	if a.Job != id || a.Name != "two nodes" || !slices.Equal(a.Nodes, job.Nodes) || a.Node != job.Nodes[0] || a.Memory != 100<<20 ||
		a.Partition != "batch" || a.User != job.User || len(a.CPUs) != 2 || a.CPUs[a.Node] < 1 || a.Tasks[a.Node] != 1 {
		t.Errorf("%+v", a)
	}

	if err := client.Cancel(t.Context(), id, 4_000_000_000); err != nil { // one that does not exist is no error
		t.Error(err)
	}
	job = await(t, client, id, "ended", func(j slurm.Job) bool { return j.Ended() })
	if job.State != "CANCELLED" {
		t.Errorf("%+v", job)
	}
}

// allocation reads a file that env -0 wrote.
func allocation(t *testing.T, path string) slurm.Allocation {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, in, err := slurm.AllocationFromEnvironment(func(name string) string {
		for variable := range strings.SplitSeq(string(text), "\x00") {
			if value, is := strings.CutPrefix(variable, name+"="); is {
				return value
			}
		}
		return ""
	})
	if err != nil || !in {
		t.Fatal(in, err)
	}
	return a
}

func TestEndedJobsOfTheCluster(t *testing.T) {
	client := lab(t)
	for body, want := range map[string]slurm.Job{
		"exit 3":     {State: "FAILED", ExitCode: 3},
		"kill -9 $$": {State: "FAILED", Signal: 9},
		"true":       {State: "COMPLETED"},
	} {
		id := submit(t, client, slurm.Script{Options: []string{"--output=/dev/null"}, Body: body})
		job := await(t, client, id, "ended", func(j slurm.Job) bool { return j.Ended() })
		if job.State != want.State || job.ExitCode != want.ExitCode || job.Signal != want.Signal {
			t.Errorf("%s: %+v", body, job)
		}
	}
}

// sbatch takes times as ParseTime does, and takes what FormatTime writes. It counts minutes, and rounds up.
func TestTimesAsSbatch(t *testing.T) {
	client := lab(t)
	for _, text := range []string{"30", "30:00", "0:30", "1:30:00", "1-12", "1-12:30", "1-12:30:01", "90s", "1h30m", "UNLIMITED"} {
		want, err := slurm.ParseTime(text)
		if err != nil {
			t.Fatal(err)
		}
		if want != slurm.Unlimited {
			want = (want + time.Minute - 1).Truncate(time.Minute)
		}
		forms := []string{slurm.FormatTime(want)}
		if !strings.HasSuffix(text, "s") && !strings.HasSuffix(text, "m") {
			forms = append(forms, text)
		}
		for _, form := range forms {
			id := submit(t, client, slurm.Script{Options: []string{"--hold", "--time=" + form}, Body: "true"})
			job := await(t, client, id, "pending", func(j slurm.Job) bool { return j.Pending() })
			// 22.05 writes the same for no limit and for none said.
			if job.Limit != want && (want != slurm.Unlimited || job.Limit != 0) {
				t.Errorf("%s, of %s: %v, want %v", form, text, job.Limit, want)
			}
		}
	}
}

func TestRefusalsOfTheCluster(t *testing.T) {
	client := lab(t)
	_, err := client.Submit(t.Context(), slurm.Script{Options: []string{"--partition=nowhere"}, Body: "true"})
	if !errors.Is(err, slurm.ErrRefused) || !strings.Contains(strings.ToLower(err.Error()), "invalid partition") {
		t.Error(err)
	}
	if _, err := client.Submit(t.Context(), slurm.Script{Options: []string{"--no-such-option"}, Body: "true"}); !errors.Is(err, slurm.ErrRefused) {
		t.Error(err)
	}
}

// With nobody where slurmctld should be, every command fails within its time, and says so.
func TestNoController(t *testing.T) {
	lab(t)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := nobody.Addr().(*net.TCPAddr).Port
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "slurm.conf")
	text := "ClusterName=nowhere\nSlurmctldHost=nowhere(127.0.0.1)\nSlurmctldPort=" + strconv.Itoa(port) +
		"\nMessageTimeout=2\nNodeName=n1\nPartitionName=p Nodes=ALL\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLURM_CONF", conf)
	client := slurm.New(slurm.Options{Deadline: commandTime})
	_, nodes := client.Nodes(t.Context())
	_, jobs := client.Jobs(t.Context())
	_, submitted := client.Submit(t.Context(), slurm.Script{Body: "true"})
	for what, err := range map[string]error{"Nodes": nodes, "Jobs": jobs, "Submit": submitted, "Cancel": client.Cancel(t.Context(), 1)} {
		if !errors.Is(err, slurm.ErrUnreachable) || !strings.Contains(err.Error(), "scontrol ping") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What CheckWords takes for options with and without values is what this sbatch does; options that it does not know are of other versions.
func TestSbatchTakesValuesAsWritten(t *testing.T) {
	lab(t)
	says := func(option string) string {
		out, err := exec.Command("sbatch", option).CombinedOutput() // with an empty script, which is refused
		if err == nil && !slices.Contains([]string{"--help", "-h", "--usage", "--version", "-V"}, option) {
			t.Errorf("sbatch %s has submitted something: %s", option, out)
		}
		return string(out)
	}
	known := 0
	check := func(option string, want bool) {
		said := says(option)
		if strings.Contains(said, "unrecognized option") || strings.Contains(said, "invalid option") {
			t.Logf("this sbatch has no %s", option)
			return
		}
		known++
		if needs := strings.Contains(said, "requires an argument"); needs != want {
			t.Errorf("%s needs a value: %v, and is taken for one with %v; sbatch says %s", option, needs, want, said)
		}
	}
	for _, name := range slurm.LongWithValue {
		check("--"+name, true)
	}
	for _, name := range slurm.LongAlone {
		check("--"+name, false)
	}
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range len(letters) {
		letter := letters[i : i+1]
		said := says("-" + letter)
		if strings.Contains(said, "invalid option") {
			if strings.Contains(slurm.ShortWithValue+slurm.ShortAlone+slurm.ShortMayTake, letter) {
				t.Logf("this sbatch has no -%s", letter)
			}
			continue
		}
		known++
		needs := strings.Contains(said, "requires an argument")
		if needs != strings.Contains(slurm.ShortWithValue, letter) || !needs && !strings.Contains(slurm.ShortAlone+slurm.ShortMayTake, letter) {
			t.Errorf("-%s needs a value: %v; sbatch says %s", letter, needs, said)
		}
	}
	if known < 80 {
		t.Errorf("sbatch knows %d options of those that are checked; is it sbatch?", known)
	}
}
