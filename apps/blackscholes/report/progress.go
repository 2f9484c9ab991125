package report

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"github.com/sublet-hpc/sublet/apps/internal/outcome"
)

// Progress shows how many options have been done, if that takes long: a bar on a terminal, elsewhere a line now
// and then. A nil Progress shows nothing.
type Progress struct {
	w     io.Writer
	title string
	total int64
	pace  outcome.Pace
	bar   *progressbar.ProgressBar // nil: lines
}

// NewProgress returns the progress of doing a number of options; title says what is done, as in "pricing".
func NewProgress(w io.Writer, terminal bool, title string, total int64) *Progress {
	p := &Progress{w: w, title: title, total: max(total, 1), pace: outcome.NewPace(terminal)}
	if terminal {
		p.bar = progressbar.NewOptions64(p.total,
			progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(title),
			progressbar.OptionShowCount(), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	}
	return p
}

// Done tells how many options have been done so far.
func (p *Progress) Done(options int64) {
	if p == nil || !p.pace.Due() {
		return
	}
	if p.bar != nil {
		_ = p.bar.Set64(min(options, p.total))
		return
	}
	fmt.Fprintf(p.w, "blackscholes: %s: %d of %d options, %.0f %%\n", p.title, options, p.total, 100*float64(options)/float64(p.total))
}

// Close takes the bar away.
func (p *Progress) Close() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}
