package harvest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/slurm"
)

// Snapshot is what Slurm and the resource manager say at a time.
type Snapshot struct {
	// At is when squeue was called: what was submitted later need not be in it.
	At     time.Time
	Nodes  []slurm.Node
	Jobs   []slurm.Job
	Demand Demand
}

// Demand is what the resource manager says.
type Demand struct {
	// Known is false if it did not answer.
	Known bool
	// Missing is how many cores leases wait for that are not free.
	Missing int
	// Registered are the nodes that are registered, with how many leases have executors there.
	Registered map[string]int
}

// harmless are the flags of a node that do not keep it from being used; what is new in Slurm is not among them.
var harmless = []string{"DYNAMIC_NORM"}

// forbidden says why a node is not to be used, whatever runs there; empty: it may be.
func forbidden(node slurm.Node, partition string) string {
	if !slices.Contains(node.Partitions, partition) {
		return "it is not in partition " + partition
	}
	for _, flag := range node.Flags {
		if slices.Contains(harmless, flag) {
			continue
		}
		text := flagMeanings[flag]
		if text == "" {
			text = "Slurm says " + flag + " of it"
		}
		if node.Reason != "" {
			text += " (" + node.Reason + ")"
		}
		return text
	}
	return ""
}

var flagMeanings = map[string]string{
	"DRAIN":           "it is drained",
	"FAIL":            "it is about to fail",
	"CLOUD":           "it is in the cloud",
	"POWERED_DOWN":    "it is powered down",
	"POWER_DOWN":      "it is to be powered down",
	"POWERING_DOWN":   "it is being powered down",
	"POWER_UP":        "it is to be powered up",
	"POWERING_UP":     "it is being powered up",
	"POWERED_UP":      "it was powered up for somebody",
	"PLANNED":         "Slurm plans it for a job that waits",
	"RESERVED":        "it is reserved",
	"MAINTENANCE":     "it is in maintenance",
	"NOT_RESPONDING":  "it does not respond",
	"COMPLETING":      "a job is just leaving it",
	"REBOOT":          "it is to be rebooted",
	"REBOOT_ISSUED":   "it is being rebooted",
	"REBOOT_CANCELED": "its reboot was cancelled",
	"INVALID_REG":     "it has registered with less than is configured",
	"BLOCKED":         "another node's job has it to itself",
}

// occupied says why nothing can be started on a node now; empty: all of it is idle.
func occupied(node slurm.Node) string {
	if node.State != slurm.NodeIdle {
		return "it is " + strings.ToLower(string(node.State))
	}
	if node.AllocatedCPUs > 0 {
		return fmt.Sprintf("%d of its CPUs are allocated", node.AllocatedCPUs)
	}
	return ""
}

// free tells whether a job of others could have all of a node now.
func free(node slurm.Node) bool {
	return occupied(node) == "" && !slices.ContainsFunc(node.Flags, func(flag string) bool {
		return flag != "PLANNED" && !slices.Contains(harmless, flag)
	})
}

// sharesPartition tells whether a node is in one of a job's partitions.
func sharesPartition(node slurm.Node, job slurm.Job) bool {
	for _, partition := range strings.Split(job.Partition, ",") {
		if slices.Contains(node.Partitions, partition) {
			return true
		}
	}
	return false
}

// compareNames orders names as people count: n2 is before n10.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		x, restA := leadingNumber(a)
		y, restB := leadingNumber(b)
		if x != "" && y != "" {
			if c := len(x) - len(y); c != 0 {
				return c
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func leadingNumber(text string) (digits, rest string) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	return text[:end], text[end:]
}
