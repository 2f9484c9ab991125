package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// stage is what a measurement happens on: a session and a lease, and the record of it.
type stage struct {
	options *Options
	session *offload.Session
	lease   *offload.Lease
	run     *record.Run
	load    *load
}

// choosePath hands on to package offload what it takes from the environment.
func (o *Options) choosePath() error {
	for name, value := range map[string]string{"SUBLET_TRANSPORT": o.Transport, "SUBLET_PROVIDER": o.Provider} {
		if value == "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func newRun(o *Options) *record.Run {
	return &record.Run{
		Command: o.Command, Began: time.Now().Truncate(time.Second), Machine: machine(), Versions: versions(),
		Notes: []string{}, Executors: []record.Executor{},
	}
}

// hotTimeout is that of a measurement's executors.
func (o *Options) hotTimeout() time.Duration {
	if o.Mode == Warm {
		return warmTimeout
	}
	return offload.AlwaysHot
}

// openStage leases executors, and binds this process to the cores that they do not have.
func openStage(ctx context.Context, o *Options, executors int, hot time.Duration) (_ *stage, err error) {
	if err := o.choosePath(); err != nil {
		return nil, err
	}
	s := &stage{options: o, run: newRun(o)}
	if s.session, err = offload.Connect(ctx); err != nil {
		return nil, err
	}
	s.lease, err = s.session.Lease(ctx, offload.Want{Executors: executors, Library: o.Library, HotTimeout: hot, Oversubscribe: true})
	if err != nil {
		return nil, errors.Join(err, s.session.Close())
	}
	for _, e := range s.lease.Executors() {
		s.run.Executors = append(s.run.Executors, record.Executor{Node: e.Node(), Core: e.Core(), Oversubscribed: e.Oversubscribed()})
	}
	if s.lease.Path().Transport != fabric.Ring {
		s.run.Versions.Libfabric = floor.LibfabricVersion()
	}
	if err := s.bind(); err != nil {
		return nil, errors.Join(err, s.session.Close())
	}
	s.load = watchLoad(s)
	return s, nil
}

// sameNode tells whether an executor shares the client's host, by what it is reached by or named.
func (s *stage) sameNode(e *offload.Executor) bool { return e.Node() == s.session.Node() }

func (s *stage) add(series *record.Series) { s.run.Series = append(s.run.Series, series) }

// series describes what an executor of the lease does.
func (s *stage) series(kind, name string, bytes int) *record.Series {
	path := s.lease.Path()
	return &record.Series{
		Kind: kind, Name: name, Mode: s.options.Mode, Transport: path.Transport, Provider: path.Provider, Bytes: bytes,
		Touched: s.options.Touch, InFlight: 1, Executors: 1, Clients: 1, Operations: 1,
	}
}

// finish ends the measurement, after err or without one. The record then says what disturbed it. What was
// measured until an interruption is kept, and returned with it.
func (s *stage) finish(ctx context.Context, err error) (*record.Run, error) {
	interrupted := ctx.Err()
	if err != nil && interrupted == nil {
		return nil, errors.Join(err, s.session.Close())
	}
	if s.lease.Lost() > 0 {
		s.run.Notes = append(s.run.Notes, fmt.Sprintf("%d executors were lost during the run.", s.lease.Lost()))
	}
	s.load.note(s.run)
	s.run.Seconds = time.Since(s.load.began).Seconds()
	err = s.session.Close()
	if interrupted != nil {
		s.run.Interrupted()
		return s.run, interrupted
	}
	if err != nil {
		return nil, err
	}
	return s.run, nil
}
