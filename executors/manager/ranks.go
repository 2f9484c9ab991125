package manager

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rank is a process whose cores are not ours to lend.
type rank struct {
	pid  int
	cpus unix.CPUSet
}

const (
	// ranksPatience is how long the other ranks of a job may take to appear beside the first.
	ranksPatience = time.Second
	// ranksInterval is how often they are looked for; /proc tells nobody of new processes.
	ranksInterval = 10 * time.Millisecond
)

// rankVariables are those that launchers set in each rank.
var rankVariables = []string{"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MPI_LOCALRANKID", "SLURM_PROCID"}

// findRanks finds the ranks of a job on this node from one of them: the children of the launcher
// that it names. Where the launcher starts each rank through a shell or a wrapper of its own, the
// wrappers are found, which are bound as the ranks are. pid itself, or its wrapper, is among them.
func findRanks(ctx context.Context, pid, launcher, expected int, log *slog.Logger) []int {
	if expected <= 1 {
		return []int{pid}
	}
	deadline := time.NewTimer(ranksPatience)
	defer deadline.Stop()
	tick := time.NewTicker(ranksInterval)
	defer tick.Stop()
	for {
		found := launched(pid, launcher, expected)
		if len(found) >= expected {
			return found
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			log.Info("not all ranks of the job on this node were found; the others' cores are left alone when they connect",
				"found", len(found), "expected", expected, "launcher", launcher)
			return found
		case <-ctx.Done():
			return found
		}
	}
}

// launched looks once: at the children of pid's parent, and of its parent.
func launched(pid, launcher, expected int) []int {
	parents := parentsOf(os.Getuid())
	best := []int{pid}
	child := pid
	for range 2 {
		parent, known := parents[child]
		if !known || child == pid && parent != launcher {
			break // the launcher is gone, and its children are another's
		}
		alike := likeness(pid)
		found := []int{child}
		for other, itsParent := range parents {
			if itsParent == parent && other != child && alike(other) {
				found = append(found, other)
			}
		}
		slices.Sort(found)
		if len(found) > len(best) {
			best = found
		}
		if len(best) >= expected {
			break
		}
		child = parent
	}
	return best
}

// likeness tells ranks of pid's job from other children of their launcher: they have those of the
// launchers' variables that pid has; without any, they run the same program.
func likeness(pid int) func(int) bool {
	var marks []string
	has := environmentNames(pid)
	for _, name := range rankVariables {
		if has[name] {
			marks = append(marks, name)
		}
	}
	if len(marks) == 0 {
		program, err := os.Readlink(procPath(pid, "exe"))
		return func(other int) bool {
			its, itsErr := os.Readlink(procPath(other, "exe"))
			return err == nil && itsErr == nil && its == program
		}
	}
	return func(other int) bool {
		its := environmentNames(other)
		return !slices.ContainsFunc(marks, func(name string) bool { return !its[name] })
	}
}

func environmentNames(pid int) map[string]bool {
	names := map[string]bool{}
	text, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil {
		return names // gone, or not ours
	}
	for variable := range strings.SplitSeq(string(text), "\x00") {
		name, _, _ := strings.Cut(variable, "=")
		names[name] = true
	}
	return names
}

// parentsOf maps all processes of a user to their parents.
func parentsOf(uid int) map[int]int {
	parents := map[int]int{}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return parents
	}
	for _, folder := range folders {
		var info unix.Stat_t
		if unix.Stat(folder, &info) != nil || int(info.Uid) != uid {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			parents[pid] = parent
		}
	}
	return parents
}

func parentOf(pid int) (int, bool) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return 0, false
	}
	// The name in parentheses can contain anything; state and parent follow the last one.
	end := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// seatRanks says which core each rank computes on. One that is bound to a core has that. One that
// may choose has the first of its cores that is not taken, and none if all are; those that can
// choose least choose first. taken are cores that are somebody's already.
func seatRanks(ranks []rank, cores []core, taken map[int]bool) map[int]int {
	type choice struct {
		pid   int
		cores []int
	}
	var choices []choice
	for i := range ranks {
		c := choice{pid: ranks[i].pid}
		for _, core := range cores {
			if slices.ContainsFunc(core.CPUs, ranks[i].cpus.IsSet) {
				c.cores = append(c.cores, core.ID)
			}
		}
		choices = append(choices, c)
	}
	slices.SortFunc(choices, func(a, b choice) int {
		return cmp.Or(cmp.Compare(len(a.cores), len(b.cores)), cmp.Compare(a.pid, b.pid))
	})
	seats := map[int]int{} // core → pid
	for _, c := range choices {
		bound := len(c.cores) == 1
		for _, core := range c.cores {
			if _, sits := seats[core]; sits || taken[core] && !bound {
				continue
			}
			seats[core] = c.pid
			break
		}
	}
	return seats
}
