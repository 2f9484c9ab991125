package offload

import (
	"context"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// AwaitPool waits until the executor managers of this host have as many executors started as they keep
// ready for leases, or patience is over, and returns how many are. It is for those who measure: a lease
// needs no ready executor, but is granted sooner.
func (s *Session) AwaitPool(ctx context.Context, patience time.Duration) (ready int, err error) {
	until := time.Now().Add(patience)
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := s.appear(ctx); err != nil {
		return 0, err
	}
	for _, helper := range s.presence.hostLinks() {
		var pool control.Pool
		if err := helper.call(ctx, control.TypePool, theManager, control.Pool{Wait: time.Until(until)}, &pool); err != nil {
			return ready, err
		}
		ready += pool.Ready
	}
	return ready, nil
}
