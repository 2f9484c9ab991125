package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// An invocation whose request or response was lost would never end: transports do not lose any, but
// defects of theirs, of a NIC or of an executor may. So a goroutine looks after each connection once
// a second while something is in flight. If nothing has come meanwhile it asks the executor, over
// the control connection, how far it is:
//
//	runs the one that we wait for ──▶ no doubt: functions may take their time; it asks less often
//	says twice that it waits, or is past it ──▶ a message was lost: killed
//	does not answer, twice ──▶ it is stopped, or hangs: killed
//
// What follows is what follows a crash. The goroutine ends when it finds nothing in flight, and the
// next Submit starts another; that comparison is all that the data path pays.

// stallTimes are how long one waits before an executor is doubted, and ended.
type stallTimes struct {
	// interval is how long nothing comes before the executor is asked, and asked again.
	interval time.Duration
	// most is how seldom one is asked that runs a long function.
	most time.Duration
	// answer is how long an executor may take to say how far it is; it has two attempts.
	answer time.Duration
	// end is how long the manager may take to end a process before we do it ourselves.
	end time.Duration
}

var usualStallTimes = stallTimes{interval: time.Second, most: 8 * time.Second, answer: 2500 * time.Millisecond, end: 5 * time.Second}

// otherTimes are the times instead, where a test has set them.
var otherTimes atomic.Pointer[stallTimes]

func stalls() stallTimes {
	if times := otherTimes.Load(); times != nil {
		return *times
	}
	return usualStallTimes
}

const (
	// slowestNetwork is how many bytes a second we expect at least of what is on its way.
	slowestNetwork = 1 << 20
	// stuckPatience is how long a request may take to be sent, besides the time for its bytes.
	stuckPatience = 30 * time.Second
	// lookBudget is how long a look at a connection in doubt polls.
	lookBudget = 5 * time.Millisecond
)

// watchStalls makes somebody look after the connection; mu is held.
func (c *connection) watchStalls() {
	if !c.watched {
		c.watched = true
		go c.lookForStalls()
	}
}

// sight is what is in flight on a connection.
type sight struct {
	idle     bool   // nothing; nobody looks any more
	oldest   uint64 // what is waited for, by its id
	last     uint64 // submitted
	function string // of the oldest
	bytes    int    // of all, that travel
}

// look files what has come and sees what is left. It waits for the connection.
func (c *connection) look(budget time.Duration) (s sight) {
	c.lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.harvest(c.client.Harvested()+1, budget) // nobody may be waiting
		s.last = c.client.Submitted()
		s.oldest = c.client.Harvested() + 1
	}
	if c.closed || s.oldest > s.last {
		c.watched = false
		return sight{idle: true}
	}
	for _, f := range c.inFlight {
		if f != nil && c.client.Path().Transport != fabric.Ring {
			s.bytes += f.request.Input.Size + f.request.Output.Size
		}
	}
	s.function = c.inFlight[c.slot(s.oldest)].function.name
	return s
}

func (c *connection) lookForStalls() {
	times := stalls()
	d := doubt{times: times}
	sights := make(chan sight, 1)
	looking := false
	for interval := times.interval; ; {
		if !c.pause(interval) {
			return
		}
		if !looking {
			looking = true
			budget := time.Duration(0)
			if d.isGrave() {
				budget = lookBudget
			}
			go func() { sights <- c.look(budget) }()
		}
		patience := time.NewTimer(times.interval)
		select {
		case s := <-sights:
			looking = false
			if s.idle {
				patience.Stop()
				return
			}
			if !d.about(s) {
				patience.Stop()
				interval = times.interval
				continue
			}
		case <-patience.C:
			d.cannotLook(time.Now())
		case <-c.alive.Done():
			patience.Stop()
			return
		}
		patience.Stop()
		progress, err := c.askProgress(times.answer)
		if c.alive.Err() != nil {
			return
		}
		if because := d.judge(time.Now(), progress, err, int(c.moving.Load())); because != nil {
			c.kill(because)
			return
		}
		if interval = times.interval; !d.isGrave() {
			interval = min(interval<<min(d.fine, 10), times.most)
		}
	}
}

// pause waits; false: the executor has ended meanwhile.
func (c *connection) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.alive.Done():
		return false
	}
}

// askProgress asks the executor how far it is, and waits so long for its answer.
func (c *connection) askProgress(patience time.Duration) (p control.Progress, err error) {
	ctx, cancel := context.WithTimeout(c.alive, patience)
	defer cancel()
	err = c.berth.site.link.call(ctx, control.TypeProgress, c.target(), nil, &p)
	if err != nil && (c.regions.isBusy() || c.isTraced()) {
		return p, errBusy // it answers one request after the other
	}
	return p, err
}

// errBusy is why an executor may not answer.
var errBusy = errors.New("offload: the executor is busy with another request, or in a debugger")

// isBusy tells whether the executor is being given a region, or asked for one.
func (k *knownRegions) isBusy() bool {
	if !k.mu.TryLock() {
		return true
	}
	defer k.mu.Unlock()
	return len(k.underWay) > 0
}

// isTraced tells whether somebody has a debugger on the executor's process, which stops it.
func (c *connection) isTraced() bool {
	if c.process == nil {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	if err != nil {
		return false
	}
	_, tracer, found := strings.Cut(string(status), "\nTracerPid:\t")
	return found && !strings.HasPrefix(tracer, "0\n")
}

// doubt is what speaks against an executor. Its clock is the caller's.
type doubt struct {
	times   stallTimes
	sight   sight
	fine    int       // answers in a row that explain the waiting
	since   time.Time // of what does not
	suspect int       // such answers in a row
	silent  int       // attempts in a row to get one
	stuck   time.Time // since when the connection could not even be looked at
}

func (d *doubt) isGrave() bool { return d.suspect+d.silent > 0 }

// about tells whether the same invocation was waited for at the last look.
func (d *doubt) about(s sight) bool {
	d.stuck = time.Time{}
	if s.oldest != d.sight.oldest {
		*d = doubt{times: d.times, sight: s}
		return false
	}
	d.sight = s
	return true
}

func (d *doubt) cannotLook(now time.Time) {
	if d.stuck.IsZero() {
		d.stuck = now
	}
}

// judge returns why the executor has to go, or nil. moving is how many bytes are being sent while the
// connection can not be looked at.
func (d *doubt) judge(now time.Time, p control.Progress, err error, moving int) error {
	if errors.Is(err, errBusy) {
		d.silent = 0
		return nil
	}
	if err != nil {
		if d.silent++; d.silent < 2 {
			return nil
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("its process has not answered for %v: it is stopped, or hangs, or its node is overloaded", 2*d.times.answer)
		}
		return fmt.Errorf("it does not say how far it is: %w", err)
	}
	d.silent = 0
	if !d.stuck.IsZero() {
		if now.Sub(d.stuck) > stuckPatience+travel(moving) {
			return fmt.Errorf("it takes nothing: a request, or a region of %d bytes, could not be sent for %v", moving, now.Sub(d.stuck).Round(time.Second))
		}
		return nil
	}
	s := &d.sight
	if p.Running && p.Begun == s.oldest {
		d.fine++
		d.suspect = 0
		return nil
	}
	d.fine = 0
	if d.suspect++; d.suspect == 1 {
		d.since = now
		return nil
	}
	waited := now.Sub(d.since)
	if waited < d.times.interval || waited < travel(s.bytes) {
		return nil
	}
	switch {
	case p.Begun > s.last:
		return fmt.Errorf("it says that it has begun invocation %d, but only %d were sent to it", p.Begun, s.last)
	case p.Begun < s.oldest:
		return fmt.Errorf("the request of invocation %d (%s) was lost on its way: it waits for it, and has begun only %d", s.oldest, s.function, p.Begun)
	}
	return fmt.Errorf("the response of invocation %d (%s) was lost on its way: it has run it, and nothing came for %v", s.oldest, s.function, (waited + d.times.interval).Round(time.Second))
}

// travel is how long so many bytes may be on their way.
func travel(bytes int) time.Duration {
	return time.Duration(float64(bytes) / slowestNetwork * float64(time.Second))
}

// insist ends a process on this host that its manager was told to end, if the manager does not: it
// may be stopped, or hang, itself. On another host its silence ends the connection.
func (c *connection) insist() {
	if c.process == nil || !c.pause(stalls().end) {
		return
	}
	raw, err := c.process.SyscallConn()
	if err != nil {
		return // it has ended
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) }) // the same
}
