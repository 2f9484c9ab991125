package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/resources/api"
)

// What machines have that nobody here has: each verdict can be met, and says what to change.
func TestVerdicts(t *testing.T) {
	const unlimited = math.MaxUint64
	works := devices.Trial{Way: devices.Way{Transport: devices.Ring, Provider: "memfd"}, Works: true, RoundTrip: 300}
	fails := devices.Trial{Way: devices.Way{Transport: devices.OFIWrite, Provider: "verbs"}, Reason: "no locked memory"}
	lending := api.Status{Version: version.Version, Nodes: map[api.NodeState]int{api.NodeLending: 2}}
	silent, empty, older := lending, lending, lending
	silent.Nodes = map[api.NodeState]int{api.NodeLending: 2, api.NodeSilent: 1}
	empty.Nodes = nil
	older.Version = "0.0.1"
	for _, c := range []struct {
		got  finding
		want verdict
		text string // of what was found
	}{
		{judgeCores(8, 0, 16), fine, "8 whole cores"},
		{judgeCores(7, 1, 15), doubt, "7 whole cores can be lent; 1 CPUs can not"},
		{judgeCores(1, 0, 2), doubt, "share"},
		{judgeCores(0, 1, 1), trouble, "none of the 1 CPUs"},
		{judgeFiles(1 << 20), fine, "1048576 open files"},
		{judgeFiles(1024), doubt, "1024"},
		{judgeFiles(100), trouble, "100"},
		{judgeTasks(unlimited, 1000), fine, "unlimited"},
		{judgeTasks(100, 1000), doubt, "100 processes"},
		{judgeTasks(100, 0), fine, "100 processes"}, // root is not bound by it
		{judgeLocked(64<<10, false), fine, "64 KiB of locked memory at most; without an RDMA device"},
		{judgeLocked(64<<10, true), trouble, "must be locked"},
		{judgeLocked(unlimited, true), fine, "unlimited locked memory"},
		{judgeGroup(2, "/job", 64<<20, unlimited), doubt, "version 2, /job: at most 64 MiB of memory"},
		{judgeGroup(2, "/job", unlimited, 100), doubt, "100 processes and threads"},
		{judgeGroup(1, "/", unlimited, unlimited), fine, "version 1, /"},
		{judgePtrace("", true), fine, ""},
		{judgePtrace("0", true), fine, ""},
		{judgePtrace("1", false), fine, "ptrace_scope is 1"},
		{judgePtrace("1", true), doubt, "ptrace_scope is 1"},
		{judgeDevice("shm", []devices.Trial{works}), fine, "works by ring over memfd (0.3 µs)"},
		{judgeDevice("mlx5_0", []devices.Trial{works, fails}), doubt, "works by ring over memfd (0.3 µs); not by ofi-write over verbs: no locked memory"},
		{judgeDevice("mlx5_0", []devices.Trial{fails}), doubt, "ofi-write over verbs: no locked memory"},
		{judgeDevice("shm", []devices.Trial{fails}), trouble, "no locked memory"},
		{judgeDirectory("/d", 7, 7, 0o755), fine, "/d"},
		{judgeDirectory("/d", 7, 7, 0o770), trouble, "others can write"},
		{judgeDirectory("/d", 8, 7, 0o700), trouble, "belongs to user 8"},
		{judgeManager(lending), fine, "2 nodes lending"},
		{judgeManager(silent), doubt, "1 silent"},
		{judgeManager(empty), doubt, "0 nodes lending"},
		{judgeManager(older), doubt, "version 0.0.1"},
		{judgeOffset(20*time.Millisecond, time.Millisecond), fine, "20ms"},
		{judgeOffset(-3*time.Second, time.Millisecond), doubt, "-3s"},
		{judgeOffset(3*time.Second, 10*time.Second), fine, "3s"}, // it is not known better
		{judgeOffset(-30*time.Second, time.Millisecond), trouble, "refused"},
	} {
		if c.got.State != c.want || !strings.Contains(c.got.Found, c.text) || (c.got.Change == "") != (c.want == fine) {
			t.Errorf("%+v, want %s with %q", c.got, c.want, c.text)
		}
	}
}

// machine writes files of a kernel that nobody has here.
func machine(t *testing.T, files map[string]string) *doctor {
	t.Helper()
	d := &doctor{root: t.TempDir() + "/"}
	for path, content := range files {
		path = filepath.Join(d.root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestMachinesOfOtherKinds(t *testing.T) {
	const group1 = "9:cpuset:/\n4:memory:/slurm/job_7\n0::/"
	for name, c := range map[string]struct {
		files map[string]string
		look  func(*doctor) finding
		want  verdict
		text  string
	}{
		"no control groups": {nil, (*doctor).controlGroup, fine, "none"},
		"the least limit of those above counts": {map[string]string{
			"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/memory.max": "1048576", "sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/b/pids.max": "50000",
		}, (*doctor).controlGroup, doubt, "version 2, /a/b: at most 1 MiB of memory and 50000 processes"},
		"version 1": {map[string]string{
			"proc/self/cgroup": group1, "sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": "4294967296", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
		}, (*doctor).controlGroup, fine, "version 1, /slurm/job_7: at most 4 GiB of memory"},
		"a slow clock":    {map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"}, (*doctor).clockSource, doubt, "hpet"},
		"a quick clock":   {map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc"}, (*doctor).clockSource, fine, "tsc"},
		"no /dev/shm":     {nil, (*doctor).sharedMemory, doubt, "/dev/shm"},
		"a shared memory": {map[string]string{"dev/shm/x": ""}, (*doctor).sharedMemory, fine, "free in /dev/shm"},
		"Yama":            {map[string]string{"proc/sys/kernel/yama/ptrace_scope": "2"}, (*doctor).ptrace, fine, "is 2"},
	} {
		if got := c.look(machine(t, c.files)); got.State != c.want || !strings.Contains(got.Found, c.text) {
			t.Errorf("%s: %+v, want %s with %q", name, got, c.want, c.text)
		}
	}
	if d := machine(t, map[string]string{"sys/class/infiniband/mlx5_0/x": ""}); !d.hasRDMA() {
		t.Error("an RDMA device is not seen")
	}
	if machine(t, nil).hasRDMA() {
		t.Error("an RDMA device is seen that is not there")
	}
}

// MPI's variable is reported, and not taken for ours.
func TestEnvironmentIsReported(t *testing.T) {
	d := &doctor{}
	set := map[string]string{"FI_PROVIDER": "verbs", "SUBLET_TRANSPORT": "ofi", "SUBLET_EXECUTORS_DATABASE": "db.json"}
	if got := d.environment(func(name string) string { return set[name] })[0]; got.Found != "SUBLET_EXECUTORS_DATABASE=db.json, SUBLET_TRANSPORT=ofi, FI_PROVIDER=verbs (MPI's; SUBLET_PROVIDER is Sublet's)" {
		t.Errorf("%+v", got)
	}
	if got := d.environment(func(string) string { return "" })[0]; got.Found != "nothing is set" {
		t.Errorf("%+v", got)
	}
}
