package offload

import (
	"context"
	"runtime"
	"time"
)

// await returns when the invocation has ended or goes elsewhere, or ctx has ended.
func (c *connection) await(ctx context.Context, f *invocation) error {
	if c.mu.TryLock() { // the shortest way, for nearly all
		ok := !c.closed && !c.driving
		if ok && !f.hasEnded() {
			ok = c.harvest(f.id, spinSlice)
		}
		c.mu.Unlock()
		if f.hasEnded() {
			return nil
		}
		if ok && ctx.Done() != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if over, err := c.spinFor(ctx, 0, f); over {
		return err
	}
	return c.sleep(ctx, f)
}

// awaitSlot returns when the invocation with this id, of which somebody else knows, has been answered, or
// the connection or ctx has ended.
func (c *connection) awaitSlot(ctx context.Context, id uint64) error {
	if over, err := c.spinFor(ctx, id, nil); over {
		return err
	}
	c.lock()
	if c.closed || c.client.Harvested() >= id {
		c.mu.Unlock()
		return nil
	}
	f := c.inFlight[c.slot(id)]
	f.kept = true
	c.mu.Unlock()
	return c.sleep(ctx, f)
}

// spinFor polls until the invocation, or where that is nil the one with this id, has been answered, or
// ctx has ended, or it has been long enough.
func (c *connection) spinFor(ctx context.Context, id uint64, f *invocation) (over bool, err error) {
	c.spinners.Add(1)
	defer c.stopSpinning()
	var tired time.Time // when spinning will be over
	for turn := 0; ; turn++ {
		useful, ended := true, false
		if c.mu.TryLock() {
			if useful = !c.closed; useful && (f == nil || !f.hasEnded()) {
				if f != nil {
					id = f.id
				}
				useful = c.harvest(id, spinSlice)
				ended = f == nil && c.client.Harvested() >= id
			}
			c.mu.Unlock()
		} else if f == nil || !f.hasEnded() {
			runtime.Gosched()
		}
		if ended || f != nil && f.hasEnded() {
			return true, nil
		}
		if !useful {
			return false, nil // the executor's end is on its way
		}
		if ctx.Done() != nil && ctx.Err() != nil {
			return true, ctx.Err()
		}
		if now := time.Now(); turn == 0 {
			tired = now.Add(c.spin)
		} else if c.spin >= 0 && now.After(tired) {
			return false, nil
		}
	}
}

// sleep waits without spinning: the driver files what comes.
func (c *connection) sleep(ctx context.Context, f *invocation) error {
	c.lock()
	c.sleepers++
	c.startDriver()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.sleepers--
		c.mu.Unlock()
	}()
	select {
	case <-f.done():
		return nil
	case <-c.gone: // or it runs elsewhere
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
