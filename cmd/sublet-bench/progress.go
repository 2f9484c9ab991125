package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on a terminal, and nothing elsewhere. It is drawn between blocks, so that nothing
// draws while something is measured.
type progress struct {
	terminal *os.File // nil: none
	bar      *progressbar.ProgressBar
	drawn    time.Time
}

const drawEvery = 200 * time.Millisecond

func newProgress(w *os.File) *progress {
	if !term.IsTerminal(int(w.Fd())) {
		return &progress{}
	}
	return &progress{terminal: w}
}

func (p *progress) show(what string, done, total int) {
	if p.terminal == nil || time.Since(p.drawn) < drawEvery {
		return
	}
	p.drawn = time.Now()
	if p.bar == nil {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.terminal), progressbar.OptionSetWidth(40),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish())
	}
	p.bar.ChangeMax(total)
	p.bar.Describe(what)
	_ = p.bar.Set(min(done, max(total-1, 0))) // the end is drawn by nobody
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
