package manager

import (
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func bound(pid int, cpus ...int) rank {
	r := rank{pid: pid}
	for _, cpu := range cpus {
		r.cpus.Set(cpu)
	}
	return r
}

func plainCores(n int) []core {
	var cores []core
	for i := range n {
		cores = append(cores, core{ID: i, CPUs: []int{i}})
	}
	return cores
}

func TestSeatRanks(t *testing.T) {
	threaded := []core{{ID: 0, CPUs: []int{0, 4}}, {ID: 1, CPUs: []int{1, 5}}}
	for name, c := range map[string]struct {
		ranks []rank
		cores []core
		taken map[int]bool
		want  map[int]int
	}{
		"bound ranks":                {[]rank{bound(10, 0), bound(11, 2)}, plainCores(3), nil, map[int]int{0: 10, 2: 11}},
		"a wide one goes last":       {[]rank{bound(10, 0, 1), bound(11, 0)}, plainCores(2), nil, map[int]int{0: 11, 1: 10}},
		"both threads of a core":     {[]rank{bound(10, 1, 5)}, threaded, nil, map[int]int{1: 10}},
		"one thread of a core":       {[]rank{bound(10, 5)}, threaded, nil, map[int]int{1: 10}},
		"more ranks than cores":      {[]rank{bound(10, 0, 1), bound(11, 0, 1), bound(12, 0, 1)}, plainCores(2), nil, map[int]int{0: 10, 1: 11}},
		"two bound to one":           {[]rank{bound(10, 0), bound(11, 0)}, plainCores(2), nil, map[int]int{0: 10}},
		"a wide one avoids the lent": {[]rank{bound(10, 0, 1)}, plainCores(2), map[int]bool{0: true}, map[int]int{1: 10}},
		"a bound one can not":        {[]rank{bound(10, 0)}, plainCores(2), map[int]bool{0: true}, map[int]int{0: 10}},
		"outside the job":            {[]rank{bound(10, 7)}, plainCores(2), nil, map[int]int{}},
	} {
		if diff := cmp.Diff(c.want, seatRanks(c.ranks, c.cores, c.taken)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A rank sits on one core at most, which is one of its own, and none stands while one that it may
// use is empty.
func TestSeatsAreTheRanksOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := plainCores(rapid.IntRange(1, 6).Draw(t, "cores"))
		var ranks []rank
		for i := range rapid.IntRange(0, 8).Draw(t, "ranks") {
			ranks = append(ranks, bound(100+i, rapid.SliceOfN(rapid.IntRange(0, 7), 0, 4).Draw(t, "mask")...))
		}
		seats := seatRanks(ranks, cores, nil)
		sits := map[int]int{}
		for core, pid := range seats {
			sits[pid]++
			if !ranks[pid-100].cpus.IsSet(core) {
				t.Fatalf("rank %d sits on core %d, which is not in its mask", pid, core)
			}
		}
		for _, r := range ranks {
			if sits[r.pid] > 1 {
				t.Fatalf("rank %d has %d cores", r.pid, sits[r.pid])
			}
			for _, core := range cores {
				if _, taken := seats[core.ID]; sits[r.pid] == 0 && !taken && r.cpus.IsSet(core.ID) {
					t.Fatalf("rank %d has no core, and core %d is empty", r.pid, core.ID)
				}
			}
		}
	})
}

// launch has a shell start ranks: each directly, or each through a shell of its own. It returns
// the launcher and those that it started, when they have become what they are to be: until then
// they are copies of the shell. All of them end with the test.
func launch(t *testing.T, script string, variables ...string) (launcher int, started []int) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", script)
	command.Env = append(os.Environ(), variables...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, command.Start())
	launcher = command.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-launcher, syscall.SIGKILL)
		_ = command.Wait()
	})
	shell := commandLine(launcher)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		started = nil
		for child, parent := range parentsOf(os.Getuid()) {
			if its := commandLine(child); parent == launcher && its != "" && its != shell {
				started = append(started, child)
			}
		}
		if len(started) == 3 {
			slices.Sort(started)
			return launcher, started
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q has started %v", script, started)
		}
	}
}

// commandLine is empty for a process that is gone.
func commandLine(pid int) string {
	text, _ := os.ReadFile(procPath(pid, "cmdline"))
	return string(text)
}

func TestFindRanks(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	const rankOf = "PMIX_RANK=1 sleep 5 & "
	t.Run("children with a rank's environment", func(t *testing.T) {
		launcher, started := launch(t, rankOf+rankOf+"sleep 5 & wait")
		marked := slices.DeleteFunc(slices.Clone(started), func(pid int) bool { return !environmentNames(pid)["PMIX_RANK"] })
		got := findRanks(t.Context(), marked[1], launcher, 2, log)
		if diff := cmp.Diff(marked, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("the same program where no launcher marks ranks", func(t *testing.T) {
		launcher, started := launch(t, "sleep 5 & sleep 5 & sleep 5 & wait")
		got := findRanks(t.Context(), started[1], launcher, 3, log)
		if diff := cmp.Diff(started, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a rank is alone", func(t *testing.T) {
		if got := findRanks(t.Context(), 77, 1, 1, log); !slices.Equal(got, []int{77}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("a launcher that is gone", func(t *testing.T) {
		if got := launched(os.Getpid(), 1<<30, 2); !slices.Equal(got, []int{os.Getpid()}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("wrapped ranks", func(t *testing.T) {
		wrapped := "PMIX_RANK=1 sh -c 'sleep 5; true' & "
		launcher, wrappers := launch(t, wrapped+wrapped+wrapped+"wait")
		inner := childOf(t, wrappers[0])
		got := findRanks(t.Context(), inner, wrappers[0], 3, log)
		if diff := cmp.Diff(wrappers, got); diff != "" {
			t.Errorf("launcher %d (-want +got):\n%s", launcher, diff)
		}
	})
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for child, parent := range parentsOf(os.Getuid()) {
			if parent == pid {
				return child
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d has no child", pid)
		}
	}
}
