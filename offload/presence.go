package offload

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/control"
)

// presence is whether those who lend this host's cores know that the program is there: its node helper, or the
// executor managers here. Without AtFirstLease Connect makes it known.
//
//	unknown ── first lease ──▶ announcing ── heard ──▶ known
//	   ▲                           │
//	   └── failed, or given up ────┘
type presence struct {
	mu      sync.Mutex
	known   bool
	links   []*link // to managers on this host; they say that this rank is there
	node    string
	current *announcing // nil: none is under way
}

// announcing is an attempt to make it known.
type announcing struct {
	done    chan struct{} // closed when what follows is set
	err     error
	givenUp bool // by whoever has asked for it; it says nothing to the others
}

// announcer makes the program known. Its links are closed if it fails; no name means that nobody has another than the
// host's.
type announcer func(ctx context.Context) (links []*link, node string, _ error)

// appear makes the session known, if it is not.
func (s *Session) appear(ctx context.Context) error {
	announce := s.announceEmbedded
	switch {
	case s.direct != nil:
		announce = s.announceDirect
	case s.resources != nil:
		announce = s.announce
	}
	return s.presence.appear(ctx, announce)
}

// appear announces, unless that was done. Who comes while somebody else does it waits for the outcome.
func (p *presence) appear(ctx context.Context, announce announcer) error {
	for {
		p.mu.Lock()
		if p.known {
			p.mu.Unlock()
			return nil
		}
		a := p.current
		if a == nil {
			a = &announcing{done: make(chan struct{})}
			p.current = a
			p.mu.Unlock()
			p.attempt(ctx, a, announce)
			return a.err
		}
		p.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			return fmt.Errorf("offload: waiting for the session to be connected: %w", context.Cause(ctx))
		}
		if !a.givenUp {
			return a.err
		}
	}
}

func (p *presence) attempt(ctx context.Context, a *announcing, announce announcer) {
	links, node, err := announce(ctx)
	a.err = err
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = nil
	if a.err == nil {
		p.known, p.links, p.node = true, links, cmp.Or(node, p.node)
	} else {
		closeAll(links)
		a.givenUp = ctx.Err() != nil
	}
	close(a.done)
}

func (p *presence) isKnown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known
}

// hostLinks are those to managers on this host, none before the session is known.
func (p *presence) hostLinks() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links
}

// name is what the node is called.
func (p *presence) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.node
}

func closeAll(links []*link) {
	for _, l := range links {
		l.close()
	}
}

// announceEmbedded says hello to the node helper, which is started if there is none.
func (s *Session) announceEmbedded(ctx context.Context) ([]*link, string, error) {
	helper, welcome, err := s.dial(ctx, func(*control.Frame) {})
	if err != nil {
		return nil, "", err
	}
	return []*link{helper}, welcome.Node, nil
}

// findPrograms finds what a node helper is started from, and starts.
func findPrograms() (sublet string, err error) {
	if sublet, err = binaries.Find("sublet"); err != nil {
		return "", fmt.Errorf("offload: starting this job's node helper: %w", err)
	}
	if _, err := binaries.Find("sublet-executor"); err != nil {
		// The helper would only find out when a lease is wanted.
		return "", fmt.Errorf("offload: starting this job's node helper, which starts executors: %w", err)
	}
	return sublet, nil
}
