package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/internal/cpus"
)

// nodeMemory is how much memory a manager with some of a machine's CPUs can lend, in bytes. root is
// where the kernel describes itself. have are the CPUs of this job, lent those of the cores that are
// lent, online those of the machine.
//
// A limit on this job's memory is the job's own. Without one, memory goes with the CPUs: managers of
// two jobs on one machine do not lend the same.
func nodeMemory(root string, lent, have, online int) (int64, error) {
	total, err := totalMemory(filepath.Join(root, "proc", "meminfo"))
	if err != nil {
		return 0, err
	}
	job := total
	if limit := jobLimit(root); limit < total {
		job = limit
	} else if online > 0 {
		job = part(total, have, online)
	}
	return part(job, lent, have), nil
}

// part is the memory of some of the CPUs.
func part(memory int64, cpus, of int) int64 {
	if of <= 0 || cpus >= of {
		return memory
	}
	return memory / int64(of) * int64(cpus)
}

func totalMemory(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("executor manager: the memory of this node: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			if kilobytes, err := strconv.ParseInt(fields[1], 10, 64); err == nil && kilobytes > 0 {
				return kilobytes << 10, nil
			}
		}
	}
	return 0, fmt.Errorf("executor manager: the memory of this node: %s has no MemTotal", path)
}

// jobLimit is the least limit of the control groups that this process is in, of either version, and
// math.MaxInt64 if there is none that we can see.
func jobLimit(root string) int64 {
	limit := int64(math.MaxInt64)
	text, err := os.ReadFile(filepath.Join(root, "proc", "self", "cgroup"))
	if err != nil {
		return limit // a kernel without them
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch {
		case fields[1] == "":
			limit = min(limit, groupLimit(filepath.Join(root, "sys", "fs", "cgroup"), fields[2], "memory.max"))
		case strings.Contains(","+fields[1]+",", ",memory,"):
			limit = min(limit, groupLimit(filepath.Join(root, "sys", "fs", "cgroup", "memory"), fields[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// groupLimit is the least limit of a group and of those that it is in.
func groupLimit(mount, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for {
		text, err := os.ReadFile(filepath.Join(mount, group, file))
		if err == nil { // else it has none: the root, or another's namespace
			if value, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && value > 0 {
				limit = min(limit, value)
			}
		}
		if group == "/" || group == "." || group == "" {
			return limit
		}
		group = filepath.Dir(group)
	}
}

// onlineCPUs counts the machine's.
func onlineCPUs(folder string) (int, error) {
	text, err := os.ReadFile(filepath.Join(folder, "online"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // the job has them all, as far as we can tell
	}
	if err != nil {
		return 0, fmt.Errorf("executor manager: the CPUs of this machine: %w", err)
	}
	list, err := cpus.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("executor manager: the CPUs of this machine: %w", err)
	}
	return len(list), nil
}

// lendableMemory is that of this machine that goes with cores, of a job that has these CPUs.
func lendableMemory(cores []core, have []int) (int64, error) {
	online, err := onlineCPUs(cpus.Folder)
	if err != nil {
		return 0, err
	}
	lent := 0
	for _, core := range cores {
		lent += len(core.CPUs)
	}
	return nodeMemory("/", lent, len(have), online)
}
