package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sublet-hpc/sublet/slurm"
)

// registering shows who has registered: as a bar on a terminal, as lines elsewhere.
type registering struct {
	log   *slog.Logger
	total int
	bar   *progressbar.ProgressBar // nil: lines
}

func showRegistering(w io.Writer, log *slog.Logger, total int) *registering {
	r := &registering{log: log, total: total}
	if file, isFile := w.(*os.File); isFile && term.IsTerminal(int(file.Fd())) {
		r.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("executor managers"),
			progressbar.OptionSetWidth(40), progressbar.OptionShowCount(), progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish())
	}
	return r
}

func (r *registering) registered(names []string) {
	if r.bar != nil {
		_ = r.bar.Set(min(len(names), r.total-1)) // the last one clears it
		return
	}
	r.log.Info("registered", "nodes", slurm.Fold(names), "of", r.total, "have", len(names))
}

func (r *registering) stop() {
	if r.bar != nil {
		_ = r.bar.Clear() // a terminal that has gone
	}
}
