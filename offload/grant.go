package offload

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// grant is what was granted at once, for all or some of a lease's executors. A lease begins with
// one, and gets more where it has to be filled up again.
type grant struct {
	lease        *Lease
	id           string // the resource manager's, or the first manager's, name for it
	sites        []*site
	stopRenewing func() // nil without a resource manager
}

// settle gets berths for executors that have none, and returns when all have been met.
func (l *Lease) settle(ctx context.Context, executors []*Executor, wait time.Duration) error {
	if l.session.resources != nil {
		return l.settleGranted(ctx, executors, wait)
	}
	if l.session.direct != nil {
		return l.settleDirect(ctx, executors, wait)
	}
	s := l.newSite(executors)
	link, welcome, err := l.session.dial(ctx, s.unasked)
	if err != nil {
		return err
	}
	err = s.acquire(ctx, link, welcome, "", wait)
	return l.admit(&grant{lease: l, id: s.name, sites: []*site{s}}, err)
}

// admit makes a grant the lease's, or gives it back if asking for it has failed, or the lease is over.
func (l *Lease) admit(g *grant, err error) error {
	for _, s := range g.sites {
		if err == nil {
			err = l.agree(s)
		}
	}
	l.mu.Lock()
	if l.over && err == nil {
		err = errReleased
	}
	if err == nil {
		l.grants = append(l.grants, g)
	}
	l.mu.Unlock()
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
		defer cancel()
		if kept := g.giveBack(ctx); kept != nil {
			l.mu.Lock()
			l.grants = append(l.grants, g) // its executors may live: Release tries again
			l.mu.Unlock()
		}
		return err
	}
	for _, s := range g.sites {
		s.accept()
	}
	return nil
}

// agree checks that a function's index means the same at all sites.
func (l *Lease) agree(s *site) error {
	if l.library == nil {
		l.library = s.functions
		for i, f := range s.functions {
			l.functions[f.Name] = &function{name: f.Name, index: uint32(i)}
			l.known = append(l.known, f.Name)
		}
	}
	if !slices.Equal(s.functions, l.library) {
		return fmt.Errorf("offload: the function library %s is another one on node %s than where the lease began", l.want.Library, s.node)
	}
	return nil
}

// giveBack returns when the executors of the grant have ended, or ctx has.
func (g *grant) giveBack(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range g.sites {
		all.Go(func() { s.release(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		for _, s := range g.sites {
			s.living.Wait()
		}
		close(ended)
	}()
	var err error
	select {
	case <-ended:
		for _, s := range g.sites {
			for _, b := range s.berths {
				b.dropNews()
			}
		}
	case <-ctx.Done():
		// Something keeps a killed process: a file system that does not answer, say.
		err = fmt.Errorf("offload: executors of lease %s were killed and have not ended within %v; their buffers stay lent until they do", g.id, releasePatience)
	}
	if g.stopRenewing != nil {
		g.stopRenewing()
		g.lease.forgetGrant(g.id) // only now: the cores are free
	}
	return err
}

// isLost tells whether nothing of the grant is left.
func (g *grant) isLost() bool {
	return !slices.ContainsFunc(g.sites, func(s *site) bool { return !s.isLost() })
}
