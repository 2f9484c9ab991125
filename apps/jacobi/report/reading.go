package report

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Reading shows how far reading files has come, if that takes long: a bar on a terminal, elsewhere
// a line now and then.
type Reading struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	file     string
	bar      *progressbar.ProgressBar
	shown    time.Time
}

// NewReading returns the progress of reading files.
func NewReading(w io.Writer, terminal bool) *Reading {
	r := &Reading{w: w, terminal: terminal, every: lineEvery, shown: time.Now()}
	if terminal {
		r.every = barEvery
	}
	return r
}

// Read tells that so many bytes of a file have been read.
func (r *Reading) Read(file string, read, size int64) {
	now := time.Now()
	if now.Sub(r.shown) < r.every || size <= 0 {
		return
	}
	r.shown = now
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
