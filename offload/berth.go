package offload

import (
	"os"

	"github.com/sublet-hpc/sublet/internal/control"
)

// berth is an executor's place at a site. An executor that loses its site gets a berth at another
// one (refill.go).
type berth struct {
	executor *Executor
	site     *site
	place    int // within the site

	// What the manager says of the berth's processes, in order: each one's end, and then its
	// replacement.
	obituaries   chan control.Ended
	replacements chan process
	givenUp      chan struct{} // closed when there will be no more of them
	unreplaced   string        // why; set before givenUp is closed
}

// process is one process of an executor.
type process struct {
	info  control.Executor
	pidfd *os.File // nil on another host
}

// maxNews is how much of what the manager says may wait to be looked at. A manager gives up on an
// executor long before.
const maxNews = 16

func newBerth(e *Executor, s *site, place int) *berth {
	return &berth{
		executor: e, site: s, place: place,
		obituaries: make(chan control.Ended, maxNews), replacements: make(chan process, maxNews),
		givenUp: make(chan struct{}),
	}
}

// hear takes what the manager says of an end.
func (b *berth) hear(ended control.Ended) {
	select {
	case b.obituaries <- ended:
	default: // more news than a manager of ours has
	}
	if !ended.Replacing && !b.isGivenUp() {
		b.unreplaced = ended.Unreplaced
		close(b.givenUp)
	}
}

func (b *berth) isGivenUp() bool {
	select {
	case <-b.givenUp:
		return true
	default:
		return false
	}
}

// whyGivenUp is the manager's reason for not replacing the executor, if it has given one.
func (b *berth) whyGivenUp() string {
	if b.isGivenUp() {
		return b.unreplaced
	}
	return ""
}

func (b *berth) String() string { return b.executor.describe(b.site.node) }

// kill has the manager end a process and replace it. It does not wait; if the manager is gone, so
// are its executors.
func (b *berth) kill(pid int) {
	go func() {
		_ = b.site.link.conn.Send(control.TypeKill, 0, control.Manager, control.Kill{Executor: b.place, PID: pid})
	}()
}

// skipObituary drops the obituary of a process that came too late to be waited for, but before its
// replacement.
func (b *berth) skipObituary() {
	select {
	case <-b.obituaries:
	default:
	}
}

// dropNews closes what came after the end.
func (b *berth) dropNews() {
	for {
		select {
		case p := <-b.replacements:
			p.pidfd.Close() // nothing if there is none
		default:
			return
		}
	}
}
