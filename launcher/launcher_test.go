package launcher

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNames(t *testing.T) {
	nodes := []string{"n1", "n2"}
	for _, c := range []struct {
		taken   map[string]bool
		pattern string
		want    map[string]string
	}{
		{nil, "%N", map[string]string{"n1": "n1", "n2": "n2"}},
		{map[string]bool{"n3": true, "n2": false}, "%N", map[string]string{"n1": "n1", "n2": "n2"}},
		{map[string]bool{"n2": true}, "%N-7", map[string]string{"n1": "n1-7", "n2": "n2-7"}},
	} {
		pattern, byNode := names(nodes, c.taken, 7)
		if pattern != c.pattern || !cmp.Equal(byNode, c.want) {
			t.Errorf("taken %v: %s, %v; want %s, %v", c.taken, pattern, byNode, c.pattern, c.want)
		}
	}
}

// Nodes of as many CPUs are one step, in the allocation's order.
func TestGroups(t *testing.T) {
	o := Options{Allocation: slurm.Allocation{Nodes: []string{"a", "b", "c", "d"}, CPUs: map[string]int{"a": 4, "b": 8, "c": 4, "d": 8}}}
	want := []group{{4, []string{"a", "c"}}, {8, []string{"b", "d"}}}
	if got := o.groups(); !cmp.Equal(got, want, cmp.AllowUnexported(group{})) {
		t.Errorf("groups %v, want %v", got, want)
	}
	o.Cores = 2
	if got := o.groups(); len(got) != 1 || got[0].cpus != 2 || !slices.Equal(got[0].nodes, o.Allocation.Nodes) {
		t.Errorf("with --cores 2: %v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{
		Allocation: slurm.Allocation{Job: 7, Nodes: []string{"a", "b"}, CPUs: map[string]int{"a": 4, "b": 2}, Memory: 1 << 30},
		Program:    "/bin/sublet", Directory: "/run/sublet", Logs: "/run/sublet/slurm/7",
	}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Options){
		"no nodes":                     func(o *Options) { o.Allocation.Nodes = nil },
		"not absolute":                 func(o *Options) { o.Program = "sublet" },
		"need absolute paths":          func(o *Options) { o.Logs = "slurm/7" },
		"srun takes % and":             func(o *Options) { o.Logs = "/shared/100%/slurm/7" },
		"job 7 has 2 CPUs on node b":   func(o *Options) { o.Cores = 3 },
		"job 7 has 1 GiB on each node": func(o *Options) { o.Memory = 2 << 30 },
	} {
		bad := good
		spoil(&bad)
		if err := bad.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// Lines that srun of Slurm 22.05 has written.
func TestWhatSrunSaysOfTasks(t *testing.T) {
	for line, want := range map[string]struct {
		nodes  []string
		reason string
	}{
		"srun: error: n2: task 1: Exited with exit code 3":                       {[]string{"n2"}, "its executor manager has ended: exited with exit code 3"},
		"srun: error: n[1-2]: tasks 0-1: Killed":                                 {[]string{"n1", "n2"}, "its executor manager has ended: killed"},
		"srun: error: n[1,3]: tasks 0,2: Terminated":                             {[]string{"n1", "n3"}, "its executor manager has ended: terminated"},
		"srun: error: Node failure on n2":                                        {[]string{"n2"}, "Slurm says that it has failed"},
		"srun: error: Unable to create step for job 7: Job/step already":         {},
		"srun: error: n[1: task 1: Killed":                                       {},
		"srun: Job 7 step creation temporarily disabled, retrying":               {},
		"srun: cluster configuration lacks support for cpu binding":              {},
		"srun: Job step aborted: Waiting up to 7 seconds for job step to finish": {},
	} {
		nodes, reason := endedOf(line)
		if !slices.Equal(nodes, want.nodes) || reason != want.reason {
			t.Errorf("%s: %v, %q; want %v, %q", line, nodes, reason, want.nodes, want.reason)
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if lines := tail(path); lines != nil {
		t.Errorf("of no file: %q", lines)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if lines := tail(path); lines != nil {
		t.Errorf("of an empty file: %q", lines)
	}
	write("one\ntwo\n")
	if lines := tail(path); !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("of two lines: %q", lines)
	}
	var text strings.Builder
	for i := range 10_000 {
		text.WriteString("line " + strconv.Itoa(i) + "\n")
	}
	write(text.String())
	if lines := tail(path); len(lines) != mostWords || lines[mostWords-1] != "line 9999" || lines[0] != "line "+strconv.Itoa(10_000-mostWords) {
		t.Errorf("of many lines: %q", lines)
	}
}

// The environment is the job's, without what srun would take as wishes, and with one run directory.
func TestEnvironment(t *testing.T) {
	got := environment([]string{"A=1", "SLURM_MEM_PER_CPU=5", "SLURM_JOB_ID=7", "SUBLET_DIR=/elsewhere", "SLURM_EXACT=1", "SRUN_EXPORT_ENV=NONE", "SRUN_CPUS_PER_TASK=9", "SLURM_NTASKS_PER_GPU=1"}, "/run/sublet")
	if want := []string{"A=1", "SLURM_JOB_ID=7", "SUBLET_DIR=/run/sublet"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTags(t *testing.T) {
	tag := Tag{Kind: KindLaunch, Directory: "/shared/my runs/today"}
	if got, ours := ParseTag(tag.Comment()); !ours || got != tag {
		t.Errorf("%q is read as %v, %v", tag.Comment(), got, ours)
	}
	for _, comment := range []string{"", "sublet", "sublet ", "sublet launch", "sublet launch relative", "sublet  /x", "sublets launch /x", "my job"} {
		if got, ours := ParseTag(comment); ours {
			t.Errorf("%q is taken for ours: %v", comment, got)
		}
	}
}

func TestJobsAreJoined(t *testing.T) {
	comment := func(dir string) string { return Tag{Kind: KindLaunch, Directory: dir}.Comment() }
	queue := []slurm.Job{
		{ID: 9, User: "ann", UserID: "1001", State: "PENDING", Comment: comment("/a"), Nodes: nil, NodeCount: 2},
		{ID: 7, User: "ann", UserID: "1001", State: "RUNNING", Comment: comment("/a"), Nodes: []string{"n1", "n2", "n3"}},
		{ID: 8, User: "ann", UserID: "1002", State: "RUNNING", Comment: comment("/a"), Nodes: []string{"n4"}},
		{ID: 6, User: "ann", UserID: "1001", State: "RUNNING", Comment: comment("/b"), Nodes: []string{"n5"}},
		{ID: 5, User: "ann", UserID: "1001", State: "RUNNING", Comment: "theirs"},
	}
	node := func(name string, job uint32) api.NodeStatus {
		return api.NodeStatus{Node: api.Node{Name: name, Job: job}}
	}
	registered := []api.NodeStatus{node("n1", 7), node("n2-7", 7), node("n2", 4), node("n3", 4), node("n4", 8)}

	jobs := Jobs(queue, "1001", "/a", registered)
	if len(jobs) != 2 || jobs[0].ID != 7 || jobs[1].ID != 9 {
		t.Fatalf("ours are %v", jobs)
	}
	if got := nodeNames(jobs[0].Managers); !slices.Equal(got, []string{"n1", "n2-7"}) {
		t.Errorf("job 7 has %v: and not those of other jobs on its nodes", got)
	}
	if jobs[1].Managers == nil || len(jobs[1].Managers) != 0 {
		t.Errorf("a job that waits has %v", jobs[1].Managers)
	}
	all := Jobs(queue, "1001", "", nil)
	if len(all) != 3 || all[0].ID != 6 || all[0].Managers != nil {
		t.Errorf("of all directories, with nobody to ask: %v", all)
	}
}
