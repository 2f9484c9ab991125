package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/sublet-hpc/sublet/internal/control"
)

// Session is a program's connection to Sublet: its memory, its constants and its leases. A rank
// has one, and closes it when it is done.
type Session struct {
	helper  *link // says that this rank is there
	node    string
	regions regions

	mu     sync.Mutex
	leases map[*Lease]struct{}
	closed bool
}

// Connect starts a session. Where no run directory says otherwise (SUBLET_DIR), it is embedded:
// the first rank of a job on a node starts one helper process there, which all its ranks share
// and which ends with the last of them.
//
// Connect raises GOMAXPROCS to 4 where it is lower and the environment does not set it: launchers
// bind a rank to one core, and a thread that spins in C would leave the other goroutines none.
func Connect(ctx context.Context) (*Session, error) {
	if err := checkRunDirectory(); err != nil {
		return nil, err
	}
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		runtime.GOMAXPROCS(4)
	}
	s := &Session{leases: map[*Lease]struct{}{}}
	s.regions.forget = s.forget
	helper, welcome, err := s.dial(ctx, func(*control.Frame) {})
	if err != nil {
		return nil, err
	}
	s.helper, s.node = helper, welcome.Node
	return s, nil
}

// checkRunDirectory refuses a run directory of a resource manager, which this version can not use:
// going embedded instead would lend cores that somebody else manages.
func checkRunDirectory() error {
	dir := os.Getenv("SUBLET_DIR")
	if dir == "" {
		return nil
	}
	access := filepath.Join(dir, "access.json")
	_, err := os.Stat(access)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("offload: SUBLET_DIR: %w", err)
	}
	return fmt.Errorf("offload: %s names a resource manager, which this version can not use yet; unset SUBLET_DIR to use the cores of this job's own nodes", access)
}

func (s *Session) dial(ctx context.Context, unasked func(*control.Frame)) (*link, control.Welcome, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		conn, err := connectHelper(ctx)
		if err != nil {
			return nil, control.Welcome{}, err
		}
		l, welcome, err := newLink(ctx, conn, hello(), unasked)
		// A helper that was about to end, or is killed, takes connections until it is gone.
		if err == nil || attempt == attempts || !endedByPeer(err) {
			return l, welcome, err
		}
	}
}

// Node is the name of the node that the session is connected on.
func (s *Session) Node() string { return s.node }

// forget makes executors forget a region.
func (s *Session) forget(r *region) {
	s.mu.Lock()
	var leases []*Lease
	for lease := range s.leases {
		leases = append(leases, lease)
	}
	s.mu.Unlock()
	for _, lease := range leases {
		for _, e := range lease.executors {
			e.forget(r)
		}
	}
}

// Close releases the session's leases and frees its memory. Buffers and constants must not be
// used after it.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var leases []*Lease
	for lease := range s.leases {
		leases = append(leases, lease)
	}
	s.mu.Unlock()
	var errs []error
	for _, lease := range leases {
		errs = append(errs, lease.Release())
	}
	s.helper.close()
	if errors.Join(errs...) != nil {
		// An executor may live and write: better to keep the memory than to give it to others.
		return errors.Join(errs...)
	}
	return s.regions.close()
}
