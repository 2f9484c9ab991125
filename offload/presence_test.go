package offload

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whoever needs the session to be known gets nil when it is, and else the error of an attempt, or its own context's; there
// are never two attempts at once, none after one that went well, and nobody is kept by, or fails with, another's context.
func TestAppear(t *testing.T) {
	refused := errors.New("refused")
	rapid.Check(t, func(rt *rapid.T) {
		type caller struct {
			comes, leaves time.Duration // by the clock of the bubble
			err           error
			ended         time.Duration
		}
		milliseconds := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(1, 200).Draw(t, "ms")) * time.Millisecond
		})
		callers := make([]caller, rapid.IntRange(1, 6).Draw(rt, "callers"))
		for i := range callers {
			// Not two things at one time: the halves are the callers' ends.
			callers[i].comes = milliseconds.Draw(rt, "comes")
			callers[i].leaves = callers[i].comes + milliseconds.Draw(rt, "stays") + time.Millisecond/2
		}
		takes := milliseconds.Draw(rt, "takes") + time.Millisecond/4
		refusals := rapid.IntRange(0, 3).Draw(rt, "refusals")

		synctest.Test(t, func(*testing.T) {
			began := time.Now()
			p := presence{node: "host"}
			under, attempts, successes := 0, 0, 0
			announce := func(ctx context.Context) ([]*link, string, error) {
				under++
				attempts++
				if under > 1 || successes > 0 {
					rt.Errorf("%d attempts at once, after %d that went well", under, successes)
				}
				nth := attempts
				defer func() { under-- }()
				select {
				case <-time.After(takes):
				case <-ctx.Done():
					return nil, "", ctx.Err()
				}
				if nth <= refusals {
					return nil, "", refused
				}
				successes++
				return nil, "node", nil
			}
			var all sync.WaitGroup
			for i := range callers {
				c := &callers[i]
				all.Go(func() {
					time.Sleep(c.comes)
					ctx, cancel := context.WithTimeout(context.Background(), c.leaves-c.comes)
					defer cancel()
					c.err = p.appear(ctx, announce)
					c.ended = time.Since(began)
				})
			}
			all.Wait()
			for _, c := range callers {
				switch {
				case c.err == nil && successes == 1:
				case errors.Is(c.err, refused) && refusals > 0 && c.ended < c.leaves:
				case errors.Is(c.err, context.DeadlineExceeded) && c.ended == c.leaves:
				default:
					rt.Errorf("%+v, with %d attempts of which %d went well", c, attempts, successes)
				}
			}
			if p.isKnown() != (successes == 1) || p.name() != map[bool]string{true: "node", false: "host"}[successes == 1] || p.current != nil {
				rt.Errorf("known: %v, as %s", p.isKnown(), p.name())
			}
		})
	})
}
