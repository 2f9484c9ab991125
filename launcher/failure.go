package launcher

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sublet-hpc/sublet/slurm"
)

// Failure is a manager that did not register, or ended too early.
type Failure struct {
	Node string `json:"node"`
	// Reason completes the sentence "node n1:".
	Reason string `json:"reason"`
	// Lines are the last that it wrote, and Log is the file with the others.
	Lines []string `json:"lines"`
	Log   string   `json:"log"`
}

// Error implements error.
func (f Failure) Error() string {
	text := fmt.Sprintf("node %s: %s", f.Node, f.Reason)
	if len(f.Lines) == 0 {
		return text + "; it wrote nothing to " + f.Log
	}
	return text + "; the last lines of " + f.Log + ":\n  " + strings.Join(f.Lines, "\n  ")
}

// What srun says of tasks that end in another way than with exit status 0, and of nodes that die:
//
//	srun: error: n[1-2]: tasks 0-1: Exited with exit code 1
//	srun: error: n1: task 0: Killed
//	srun: error: Node failure on n2
var (
	taskEnded  = regexp.MustCompile(`^srun: error: (\S+): tasks? [-0-9,\[\]]+: (.+)$`)
	nodeFailed = regexp.MustCompile(`^srun: error: Node failure on (\S+)$`)
)

// endedOf reads a line of srun's: which nodes it says have lost their manager, and why.
func endedOf(line string) (nodes []string, reason string) {
	list := ""
	if parts := taskEnded.FindStringSubmatch(line); parts != nil {
		list, reason = parts[1], "its executor manager has ended: "+lowered(parts[2])
	} else if parts := nodeFailed.FindStringSubmatch(line); parts != nil {
		list, reason = parts[1], "Slurm says that it has failed"
	}
	if list == "" {
		return nil, ""
	}
	nodes, err := slurm.Expand(list)
	if err != nil {
		return nil, "" // no line of that form after all
	}
	return nodes, reason
}

func lowered(sentence string) string { return strings.ToLower(sentence[:1]) + sentence[1:] }
