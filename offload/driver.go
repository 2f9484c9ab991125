package offload

import (
	"runtime"

	"github.com/sublet-hpc/sublet/internal/pollable"
)

// The driver of a connection is a goroutine that sleeps on the connection's descriptor and polls
// when something is to be moved. It exists while somebody sleeps until a future ends, or while a
// large payload is in flight: libfabric's software providers move bytes only when they are polled,
// and the rank may be computing. Where somebody spins, who polls anyway, the driver stands aside.
//
//	none ── somebody sleeps, or a large payload is submitted ──▶ driving ◀──▶ aside, while others spin
//	  ▲                                                             │
//	  └──────────── nobody sleeps and nothing large is left ────────┘

// startDriver makes one if there is none; mu is held.
func (c *connection) startDriver() {
	if !c.driving && !c.closed && !c.broken.Load() {
		c.driving = true
		go c.drive()
	}
}

// stopSpinning is called by those who have polled; the last of them wakes the driver.
func (c *connection) stopSpinning() {
	if c.spinners.Add(-1) == 0 {
		c.wakeDriver()
	}
}

func (c *connection) wakeDriver() {
	select {
	case c.resume <- struct{}{}:
	default: // it will look once more anyway
	}
}

func (c *connection) drive() {
	for {
		if c.spinners.Load() > 0 {
			<-c.resume
			continue
		}
		c.lock()
		if !c.closed && c.isWanted() && c.client.Arm() {
			doorbell, nap := c.doorbell, c.client.Nap()
			c.mu.Unlock()
			err := pollable.Nap(doorbell, nap)
			if c.spinners.Load() > 0 {
				<-c.resume
			}
			c.lock()
			if err != nil && !c.closed {
				c.kill(err)
			}
			if !c.closed {
				c.client.Disarm()
			}
		}
		if c.closed || !c.isWanted() || !c.harvest(c.client.Submitted(), 0) {
			c.driving = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		runtime.Gosched()
	}
}

// isWanted tells whether there is something to drive for; mu is held.
func (c *connection) isWanted() bool { return c.sleepers > 0 || c.large > 0 }
