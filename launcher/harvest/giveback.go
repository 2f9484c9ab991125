package harvest

import (
	"context"

	"github.com/sublet-hpc/sublet/slurm"
)

// GiveBackAll cancels all jobs of the run directory, and returns which. Those that are still coming, because sbatch
// has not said whether they will, are found by the next call.
func (h *Harvester) GiveBackAll(ctx context.Context) ([]slurm.JobID, error) {
	snapshot, err := TakeSnapshot(ctx, h.Cluster, nil)
	if err != nil {
		return nil, err
	}
	state, events := Observe(snapshot, h.file.State, h.Policy)
	h.file.State = state
	for _, event := range events {
		h.report(event)
	}
	var returns []Return
	jobs := []slurm.JobID{}
	for _, record := range state.records() {
		if record.Job != 0 && !record.leaving() {
			returns = append(returns, Return{Record: record, Because: "all nodes are to be given back"})
			jobs = append(jobs, record.Job)
		}
	}
	err = h.giveBack(ctx, returns)
	h.note(err)
	return jobs, err
}
