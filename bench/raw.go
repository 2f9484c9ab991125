package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
	"github.com/sublet-hpc/sublet/offload"
)

// newRaw is the floor of the transport that the lease really uses.
func newRaw(ctx context.Context, s *stage, size int, p plan) (contestant, error) {
	switch {
	case s.lease.Path().Transport == fabric.Ring && s.options.InFlight > 1:
		return newPairs(s, s.series(record.Latency, Raw, size), p.capacity(), 0)
	case s.lease.Path().Transport == fabric.Ring:
		return newLines(s, size, 1, p)
	case s.options.InFlight > 1:
		return nil, errors.New("over libfabric the floor has one operation at a time; leave --inflight out")
	}
	return newRawOFI(ctx, s, size, 0, p)
}

// takeOver invokes a function that takes an executor over, lets run do its part of the block, and
// waits for the function's end.
func (s *stage) takeOver(ctx context.Context, executor int, name string, call []byte, out offload.Payload, run func() ([]int64, error)) (record.Block, error) {
	in, err := offload.TryAlloc[byte](s.session, len(call))
	if err != nil {
		return record.Block{}, err
	}
	copy(in.Slice(), call)
	f := s.lease.Executors()[executor].Invoke(context.Background(), name, in, out)
	began := now()
	samples, err := run()
	elapsed := now() - began
	if err != nil {
		// If the function could not even begin, it knows better why.
		quickly, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		var failed *offload.FunctionError
		if _, wrong := f.Wait(quickly); errors.As(wrong, &failed) {
			err = wrong
		}
		return record.Block{}, err
	}
	if _, err := f.Wait(ctx); err != nil {
		return record.Block{}, err
	}
	return record.Block{Elapsed: elapsed, Samples: samples}, in.Free()
}

// lines are two cache lines in memory that client and executor share.
type lines struct {
	stage  *stage
	result *record.Series
	shared *offload.Buffer[byte]
	ends   *floor.Lines
	block0 floor.Block
	hot    time.Duration
}

// newLines makes room for windows of payloads.
func newLines(s *stage, size, window int, p plan) (contestant, error) {
	shared, err := offload.TryAlloc[byte](s.session, floor.LinesSize(size*max(1, (window+1)/2)))
	if err != nil {
		return nil, err
	}
	clear(shared.Slice()) // touches it
	ends, err := floor.NewLines(shared.Slice(), size, p.capacity())
	if err != nil {
		return nil, errors.Join(err, shared.Free())
	}
	l := &lines{
		stage: s, result: s.series(record.Latency, Raw, size), shared: shared, ends: ends,
		block0: floor.Block{Size: size, Touch: s.options.Touch},
	}
	l.result.Transport, l.result.Provider = "lines", "memfd"
	if s.options.Mode == Warm {
		l.block0.Gap, l.hot = gap, warmTimeout
	}
	return l, nil
}

func (l *lines) series() *record.Series { return l.result }

func (l *lines) block(ctx context.Context, count int) (record.Block, error) {
	b := l.block0
	if b.Count = count; b.Window == 0 {
		b.Count += settle
	}
	block, err := l.stage.takeOver(ctx, 0, floor.Serve, l.ends.Call(&b, l.hot), l.shared, func() ([]int64, error) {
		return l.ends.Run(&b, l.hot, make([]int64, 0, b.Count))
	})
	if err != nil || b.Window > 0 {
		return block, err
	}
	return settled(block.Samples[settle:]), nil
}

func (l *lines) close() error {
	l.ends.Close()
	return l.shared.Free()
}

// rawOFI is a connection over libfabric beside Sublet's, with the same provider.
type rawOFI struct {
	stage  *stage
	result *record.Series
	end    *floor.OFI
	block0 floor.Block
}

func newRawOFI(ctx context.Context, s *stage, size, window int, p plan) (contestant, error) {
	if s.options.Mode == Warm {
		return nil, errors.New("the floor over libfabric spins; there is none of warm executors yet")
	}
	executor, path := s.lease.Executors()[0], s.lease.Path()
	if !s.sameNode(executor) {
		return nil, errors.New("the floor over libfabric needs the executor on this node for now")
	}
	card := floor.Card(path.Provider, hostOf(path.Provider), path.Transport == fabric.OFISend, max(size, 8), window)
	in, err := offload.TryAlloc[byte](s.session, len(card))
	if err != nil {
		return nil, err
	}
	out, err := offload.TryAlloc[byte](s.session, floor.CardSize)
	if err != nil {
		return nil, err
	}
	copy(in.Slice(), card)
	if _, err := s.lease.Invoke(context.Background(), floor.OpenOFI, in, out).Wait(ctx); err != nil {
		return nil, err
	}
	end, err := floor.NewOFI(append([]byte(nil), out.Slice()...), p.capacity())
	if err = errors.Join(err, in.Free(), out.Free()); err != nil {
		return nil, err
	}
	r := &rawOFI{
		stage: s, result: s.series(record.Latency, Raw, size), end: end,
		block0: floor.Block{Size: size, Touch: s.options.Touch, Window: window},
	}
	r.result.Transport = "libfabric " + map[bool]string{true: "send", false: "write"}[path.Transport == fabric.OFISend]
	return r, nil
}

// hostOf is the address on this node at which the executor's end listens: shared memory has none, and no
// RDMA device has the loopback address, so that it is the first device's.
func hostOf(provider string) string {
	if provider == fabric.SharedMemory || strings.HasPrefix(provider, "verbs") {
		return ""
	}
	return "127.0.0.1"
}

func (r *rawOFI) series() *record.Series { return r.result }

func (r *rawOFI) block(ctx context.Context, count int) (record.Block, error) {
	b := r.block0
	if b.Count = count; b.Window == 0 {
		b.Count += settle
	}
	block, err := r.stage.takeOver(ctx, 0, floor.ServeOFI, r.end.Call(&b), nil, func() ([]int64, error) {
		return r.end.Run(&b, make([]int64, 0, b.Count))
	})
	switch {
	case err != nil:
		return block, fmt.Errorf("%s: %w", r.result.Provider, err)
	case b.Window > 0:
		return block, nil
	}
	return settled(block.Samples[settle:]), nil
}

func (r *rawOFI) close() error {
	r.end.Close()
	return nil
}
