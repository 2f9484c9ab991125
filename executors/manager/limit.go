package manager

import (
	"fmt"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// timeLimit ends a lease when its time is over, whoever renews it and whether or not the resource manager can be
// reached.
type timeLimit struct {
	timer *time.Timer // nil: the lease has no limit
}

// start begins to watch a lease that has been entered into the book.
func (t *timeLimit) start(l *lease) {
	until := l.record.Until
	if until.IsZero() {
		return
	}
	limit := until.Sub(l.record.Granted).Round(time.Millisecond)
	t.timer = time.AfterFunc(time.Until(until), func() {
		if l.ctx.Err() != nil {
			return // it has just ended, and its client may have another
		}
		l.log.Info("the lease's time limit is over", "limit", limit)
		l.client.over(fmt.Sprintf("the time limit of its lease, %v, is over", limit))
	})
}

func (t *timeLimit) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// over ends the connection, and with it its lease, and tells the client why.
func (c *client) over(reason string) {
	if c.conn.Stream().SetWriteDeadline(time.Now().Add(leavingPatience)) == nil {
		c.send(control.TypeOver, 0, control.Manager, control.Over{Reason: reason})
	}
	c.cancel()
}
