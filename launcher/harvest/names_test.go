package harvest_test

import (
	"testing"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

// Whoever may submit jobs can call them as he likes, and names of ours are seen in the queue.
func TestNamesOfOthers(t *testing.T) {
	names := harvest.NamesFor("/runs/today", "1001")
	prefix := names.Prefix()
	for _, job := range []slurm.Job{
		{Name: prefix + "0123456789ab", User: "ann", UserID: "1002"},
		{Name: prefix + "0123456789ab", User: "ann"},
		{Name: prefix + "0123456789", User: "ann", UserID: "1001"},
		{Name: prefix + "/../../../a", User: "ann", UserID: "1001"},
		{Name: prefix, User: "ann", UserID: "1001"},
		{Name: "0123456789ab", User: "ann", UserID: "1001"},
	} {
		if got := names.Of(job); got != "" {
			t.Errorf("%+v is taken for ours", job)
		}
	}
	if job := (slurm.Job{Name: prefix + "0123456789ab", User: "1001", UserID: "1001"}); names.Of(job) != job.Name {
		t.Errorf("%+v is not known to be ours", job)
	}
}
