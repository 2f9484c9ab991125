package offload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// tardiness is how much longer than the first manager of a database the others may take to answer. A host that
// lives answers within milliseconds, and one that is off not at all.
const tardiness = time.Second

// absences are the managers of a database whose hosts do not answer. A lease does not wait for them unless the
// others have no room: they are asked in the background whenever managers are asked, until they answer.
//
//	present ── silence ──▶ absent ── answers in the background ──▶ present
type absences struct {
	session context.Context // that of whose managers these are
	all     sync.WaitGroup  // who are asked in the background

	mu sync.Mutex
	of map[int]*absence // by their places in the database
}

type absence struct {
	since   time.Time
	attempt *asking // in the background; nil: none is under way
	err     error   // of the last attempt that has ended; nil: there is none
}

// asking is a manager that is asked.
type asking struct {
	door   *door         // to be read when done
	done   chan struct{} // closed
	detach func()        // lets it go on without who has asked
}

// ask begins to ask a manager. It ends with ctx, or with the session.
func (c *direct) ask(ctx context.Context, place int, answered chan<- struct{}) *asking {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	asker := context.AfterFunc(ctx, cancel)
	session := context.AfterFunc(c.absent.session, cancel)
	a := &asking{door: &door{manager: c.managers[place]}, done: make(chan struct{}), detach: func() { asker() }}
	c.absent.all.Go(func() {
		a.door.err = c.open(own, a.door)
		asker()
		session()
		cancel()
		close(a.done)
		if a.door.err == nil {
			select {
			case answered <- struct{}{}:
			default:
			}
		}
	})
	return a
}

// knock connects to all managers, at once. Those that can not be reached have an error. Once one has answered
// the others have little time left.
func (c *direct) knock(ctx context.Context) []*door {
	began := time.Now()
	doors := make([]*door, len(c.managers))
	attempts := make([]*asking, len(doors))
	answered := make(chan struct{}, 1)
	for place := range doors {
		if doors[place] = c.absentDoor(place); doors[place] == nil {
			attempts[place] = c.ask(ctx, place, answered)
		}
	}
	var late <-chan time.Time
	tardy := false
	for place, a := range attempts {
		for a != nil && doors[place] == nil {
			select {
			case <-a.done:
				doors[place] = a.door
				if ctx.Err() == nil && isSilence(a.door.err) {
					c.absent.note(place, &absence{since: began, err: a.door.err})
				}
				continue
			default:
			}
			if tardy {
				a.detach()
				c.absent.note(place, &absence{since: began, attempt: a})
				c.absent.all.Go(func() { c.absent.settle(place, a) })
				doors[place] = c.absentDoor(place)
				if doors[place] == nil { // it has just answered
					doors[place] = &door{manager: c.managers[place], err: fmt.Errorf("offload: the executor manager %s answers slowly; ask again", a.door.name())}
				}
				continue
			}
			select {
			case <-a.done:
			case <-answered:
				if late == nil {
					late = time.After(tardiness)
				}
			case <-late:
				tardy = true
			}
		}
	}
	return doors
}

// absentDoor is that of a manager that is absent, which is asked in the background; nil: it is not.
func (c *direct) absentDoor(place int) *door {
	c.absent.mu.Lock()
	defer c.absent.mu.Unlock()
	x := c.absent.of[place]
	if x == nil {
		return nil
	}
	if x.attempt == nil {
		a := c.ask(c.absent.session, place, nil)
		x.attempt = a
		c.absent.all.Go(func() { c.absent.settle(place, a) })
	}
	d := &door{manager: c.managers[place]}
	d.err = fmt.Errorf("offload: the executor manager %s, of %s, has not answered for %v and is not waited for", d.name(), c.file, time.Since(x.since).Round(time.Second/10))
	if x.err != nil {
		d.err = fmt.Errorf("%w: %w", d.err, x.err)
	}
	return d
}

func (s *absences) note(place int, x *absence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[int]*absence{}
	}
	s.of[place] = x
}

// settle waits for an attempt in the background, and ends the absence if the manager has answered. It may be
// called by several.
func (s *absences) settle(place int, a *asking) {
	<-a.done
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[place]
	if x == nil || x.attempt != a {
		return
	}
	x.attempt, x.err = nil, a.door.err
	if a.door.err == nil {
		a.door.close()
		delete(s.of, place)
	}
}

// await waits until all attempts in the background have ended, and tells whether a manager has come back.
func (s *absences) await(ctx context.Context) bool {
	s.mu.Lock()
	attempts := map[int]*asking{}
	for place, x := range s.of {
		if x.attempt != nil {
			attempts[place] = x.attempt
		}
	}
	s.mu.Unlock()
	back := false
	for place, a := range attempts {
		select {
		case <-a.done:
			s.settle(place, a)
			back = back || a.door.err == nil
		case <-ctx.Done():
			return false
		}
	}
	return back
}

// isSilence tells whether nobody has answered, from an answer that says no.
func isSilence(err error) bool {
	var silent *control.Silence
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout() || errors.As(err, &silent) ||
		slices.ContainsFunc([]error{syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ETIMEDOUT}, func(is error) bool { return errors.Is(err, is) })
}
