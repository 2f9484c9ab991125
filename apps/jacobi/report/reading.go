package report

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
)

// Reading shows how far reading files has come, if that takes long: a bar on a terminal, elsewhere
// a line now and then.
type Reading struct {
	w        io.Writer
	terminal bool
	pace     outcome.Pace
	file     string
	bar      *progressbar.ProgressBar
}

// NewReading returns the progress of reading files.
func NewReading(w io.Writer, terminal bool) *Reading {
	return &Reading{w: w, terminal: terminal, pace: outcome.NewPace(terminal)}
}

// Read tells that so many bytes of a file have been read.
func (r *Reading) Read(file string, read, size int64) {
	if size <= 0 || !r.pace.Due() { // a pipe has no size
		return
	}
	if !r.terminal {
		fmt.Fprintf(r.w, "jacobi: reading %s: %.0f %%\n", file, 100*float64(read)/float64(size))
		return
	}
	if file != r.file {
		r.Close()
		r.file = file
		r.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(r.w), progressbar.OptionSetDescription("reading "+file),
			progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	}
	_ = r.bar.Set64(min(read, size))
}

// Close takes the bar away.
func (r *Reading) Close() {
	if r.bar != nil {
		_ = r.bar.Clear()
	}
}
