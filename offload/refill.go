package offload

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A lease that loses a site, with its manager or its node, asks for as many executors elsewhere:
//
//	whole ── a site is lost ──▶ refilling ── granted ──▶ whole
//	                              │    ▲
//	                 not granted  ▼    │ after a pause, or another site is lost
//	                             shrunken
//
// Whoever waits for an executor waits for the first attempt, and no longer.

const (
	firstRefillPause = time.Second
	lastRefillPause  = 30 * time.Second
)

// refillPatience is how long one attempt may take.
const refillPatience = 10 * time.Second

// lostAgain is how often an attempt begins anew because the manager that was asked has gone meanwhile.
const lostAgain = 3

// vacate notes that the executors of a site need new berths.
func (l *Lease) vacate(s *site) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	for _, b := range s.berths {
		b.executor.setComing(true)
		l.vacant = append(l.vacant, b.executor)
	}
	if l.refilling {
		select {
		case l.vacated <- struct{}{}:
		default: // it will look once more anyway
		}
		return
	}
	l.refilling = true
	l.rerunning.Add(1)
	go l.refill()
}

// refill asks for new berths until all executors have one.
func (l *Lease) refill() {
	defer l.rerunning.Done()
	for pause := firstRefillPause; ; {
		over := l.limit.over(l.want.TimeLimit)
		if over != "" {
			l.giveUpVacant(overText(over))
		}
		l.dropLostGrants()
		l.mu.Lock()
		vacant := l.vacant
		l.vacant = nil
		select {
		case <-l.vacated: // it is among them
		default:
		}
		if len(vacant) == 0 || l.over {
			l.refilling = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if l.resettle(vacant) {
			pause = firstRefillPause
			continue
		}
		l.mu.Lock()
		l.vacant = append(vacant, l.vacant...)
		l.mu.Unlock()
		if l.rest(pause) {
			pause = firstRefillPause
		} else {
			pause = min(2*pause, lastRefillPause)
		}
	}
}

// giveUpVacant notes that there will be no other executors.
func (l *Lease) giveUpVacant(reason string) {
	l.mu.Lock()
	vacant := l.vacant
	l.vacant = nil
	l.mu.Unlock()
	for _, e := range vacant {
		e.lose(&ExecutorLost{Executor: e.String(), Cause: LostTimeLimit, Reason: reason}, false)
	}
}

// rest waits between two attempts. It ends early with the lease, and, which is the result, when another
// site is lost: nobody is to wait through a pause for the first attempt.
func (l *Lease) rest(pause time.Duration) (vacated bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.alive.Done():
	case <-l.vacated:
		return true
	}
	return false
}

// resettle tries once to get berths for all of some executors.
func (l *Lease) resettle(vacant []*Executor) bool {
	losses := make([]error, len(vacant))
	for i, e := range vacant {
		losses[i] = e.whyNot()
	}
	ctx, cancel := context.WithTimeout(l.alive, refillPatience)
	defer cancel()
	err := l.settleAgain(ctx, vacant, 0)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	l.mu.Lock()
	l.unfilled = reason
	l.mu.Unlock()
	if err == nil {
		return true
	}
	for i, e := range vacant {
		e.lose(unreplaced(losses[i], reason), false)
	}
	return false
}

// settleAgain is settle, which begins anew where the manager that was asked ends meanwhile: its node may be wanted by
// somebody else just then.
func (l *Lease) settleAgain(ctx context.Context, executors []*Executor, wait time.Duration) error {
	err := l.settle(ctx, executors, wait)
	for range lostAgain {
		if !endedByPeer(err) && !errors.Is(err, errDrained) {
			break
		}
		err = l.settle(ctx, executors, wait)
	}
	return err
}

// whyUnfilled is why the last attempt failed; empty: it did not.
func (l *Lease) whyUnfilled() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unfilled
}

// dropLostGrants gives back grants of which nothing is left.
func (l *Lease) dropLostGrants() {
	l.mu.Lock()
	var lost []*grant
	l.grants = slices.DeleteFunc(slices.Clone(l.grants), func(g *grant) bool {
		if g.isLost() {
			lost = append(lost, g)
			return true
		}
		return false
	})
	l.mu.Unlock()
	for _, g := range lost {
		ctx, cancel := context.WithTimeout(context.Background(), refillPatience)
		_ = g.giveBack(ctx) // its executors have ended
		cancel()
	}
}
