package launcher

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/buildtest"
)

// A job that was requeued has the logs of its first run. srun, which waits for CPUs in vain, looks at nothing but signals: it is ended by
// one, and not by patience.
func TestStepOfARequeuedJobThatWaits(t *testing.T) {
	folder := t.TempDir()
	srun := filepath.Join(folder, "srun")
	buildtest.Script(t, srun, "exec sleep 1000\n")
	o := &Options{Srun: srun, Program: "/bin/sublet", Directory: folder, Logs: folder}
	if err := os.WriteFile(o.log("n1"), []byte("of the first run\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := o.startStep(group{nodes: []string{"n1", "n2"}}, "%N", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if s.started() {
		t.Error("nothing was written, and a manager is taken to be started")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.end(ctx); err != nil {
		t.Errorf("the end of a step that waits: %v", err)
	}
	if err := os.WriteFile(o.log("n2"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !s.started() {
		t.Error("a log has come, and no manager is taken to be started")
	}
}
