package main

import (
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	// progressAfter is how long something may take before a terminal shows that it goes on.
	progressAfter = time.Second
	progressEvery = 100 * time.Millisecond
)

// showProgress shows on a terminal how much of total is done, or, where that is one, that time
// passes. It shows nothing elsewhere. stop takes it away.
func showProgress(w *os.File, title string, total int, done func() int64) (stop func()) {
	if !term.IsTerminal(int(w.Fd())) {
		return func() {}
	}
	ending := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		select {
		case <-ending:
			return
		case <-time.After(progressAfter):
		}
		most := int64(total)
		if most == 1 {
			most = -1 // a spinner
		}
		bar := progressbar.NewOptions64(most,
			progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(title), progressbar.OptionSetWidth(40),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish())
		defer bar.Clear() //nolint:errcheck // a terminal that has gone
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			_ = bar.Set64(min(done(), max(int64(total)-1, 0)))
			select {
			case <-ticker.C:
			case <-ending:
				return
			}
		}
	})
	return func() {
		close(ending)
		showing.Wait()
	}
}
