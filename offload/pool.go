package offload

import (
	"context"
	"math"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// AwaitPool waits until the executor managers of this host have as many executors started as they keep
// ready for leases, or ctx ends, and returns how many are. It is for those who measure: a lease needs no
// ready executor, but is granted sooner.
func (s *Session) AwaitPool(ctx context.Context) (ready int, err error) {
	patience := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	for _, helper := range s.helpers {
		var pool control.Pool
		if err := helper.call(ctx, control.TypePool, theManager, control.Pool{Wait: patience}, &pool); err != nil {
			return ready, err
		}
		ready += pool.Ready
	}
	return ready, nil
}
