package harvest

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// keptLogs is how many files of jobs that have failed are kept.
const keptLogs = 20

// pruneLogs removes the oldest files of jobs that are no more.
func (h *Harvester) pruneLogs() {
	type old struct {
		path string
		at   time.Time
	}
	entries, err := os.ReadDir(h.Job.Logs())
	if err != nil {
		h.Log.Debug("what jobs have written stays", "error", err)
		return
	}
	alive := map[string]bool{}
	for name := range h.file.State.Jobs {
		alive[h.Job.log(name)] = true
	}
	var logs []old
	for _, entry := range entries {
		path := filepath.Join(h.Job.Logs(), entry.Name())
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && filepath.Ext(path) == ".log" && !alive[path] {
			logs = append(logs, old{path, info.ModTime()})
		}
	}
	slices.SortFunc(logs, func(a, b old) int { return b.at.Compare(a.at) })
	for _, log := range logs[min(keptLogs, len(logs)):] {
		if err := os.Remove(log.path); err != nil {
			h.Log.Debug("what a job has written stays", "error", err)
		}
	}
}
