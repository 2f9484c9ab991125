package portfolio

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// guard removes a file when a signal ends the process, as Ctrl-C does, and mpirun where another rank has ended.
type guard struct {
	signals chan os.Signal
	left    chan struct{}
}

// newGuard begins to guard a file that is about to be made. Signals that the process ignores, as under nohup, stay ignored.
func newGuard(path string) *guard {
	g := &guard{make(chan os.Signal, 1), make(chan struct{})}
	for _, ends := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if !signal.Ignored(ends) {
			signal.Notify(g.signals, ends)
		}
	}
	go func() {
		select {
		case <-g.left:
		case caught := <-g.signals:
			_ = os.Remove(path) // it may have its name by now, or not be made yet
			signal.Reset(caught)
			_ = unix.Kill(os.Getpid(), caught.(unix.Signal)) // and so the process ends as it would have
		}
	}()
	return g
}

// leave ends the guarding; a second time does nothing. nil guards nothing.
func (g *guard) leave() {
	if g == nil {
		return
	}
	select {
	case <-g.left:
	default:
		signal.Stop(g.signals)
		close(g.left)
	}
}
