package manager

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is the kernel's count of a process's CPU time. It is read as long as the process is not reaped, for
// then its number may be another's.
type cpuClock struct {
	mu      sync.Mutex
	stopped bool
	used    time.Duration // never less than before
}

// read is the time by now.
func (c *cpuClock) read(pid int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.look(pid)
	}
	return c.used
}

// look reads the clock. mu is held.
func (c *cpuClock) look(pid int) {
	var now unix.Timespec
	if err := unix.ClockGettime(clockOf(pid), &now); err == nil {
		c.used = max(c.used, time.Duration(now.Nano()))
	}
}

// stop reads it for the last time: the process has exited, and will be reaped.
func (c *cpuClock) stop(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(pid)
	c.stopped = true
}

// add takes over what the kernel has said when it was reaped: in microseconds, and with its children.
func (c *cpuClock) add(used time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = max(c.used, used)
}

// clockOf is the number of a process's CPU clock, as clock_getcpuclockid(3) makes it.
func clockOf(pid int) int32 {
	const scheduler = 2 // what the scheduler counts, in nanoseconds
	return ^int32(pid)<<3 | scheduler
}
