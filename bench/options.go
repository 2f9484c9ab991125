package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Modes of an executor between invocations.
const (
	Hot  = "hot"  // it spins
	Warm = "warm" // it sleeps
)

// Baselines.
const (
	Raw  = "raw"  // the same transport without Sublet
	TCP  = "tcp"  // a socket of the loopback interface, blocking
	HTTP = "http" // a request on a connection that is kept, blocking
	// Invoke is no baseline, but Sublet's other way: Invoke, which can be left to run, and Wait.
	Invoke = "invoke"
	// Smallest is none either, but Sublet with the smallest of the sizes.
	Smallest = "smallest"
	MPI      = "mpi" // the program pingpong under mpirun, before Sublet's turn
)

// Baselines are all there are.
var Baselines = []string{Raw, TCP, HTTP, MPI, Invoke, Smallest}

// MaxInFlight is how many invocations an executor can hold.
const MaxInFlight = fabric.DefaultSlots

// In warm mode an executor that has been idle for warmTimeout sleeps, and the client lets gap pass
// before each round trip. The client itself spins: it sleeps longer than a wake takes.
const (
	warmTimeout = 300 * time.Microsecond
	gap         = time.Millisecond
)

// Options are what is to be measured. Zeros are defaults, where they make no sense themselves.
type Options struct {
	Sizes       []int  // bytes
	Mode        string // Hot or Warm
	Transport   string // as SUBLET_TRANSPORT
	Provider    string // as SUBLET_PROVIDER
	InFlight    int
	Repetitions int // operations of each size; 0: as many as are worth it
	Warmup      int // operations before them; -1: a block
	Blocks      int // turns that each contestant has; 0: DefaultBlocks
	Touch       bool
	Baselines   []string
	Executors   int // throughput and scale go from 1 to so many
	Clients     int // at once, of cold
	Cores       int // executors of each client of cold
	Items       int // of work in a step of scale

	Library string   // path of bin/libbench.so
	MPIRun  []string // mpirun with its options and the path of pingpong
	Command []string // the command line, for the record

	// Progress, if it is set, is told how far the run is.
	Progress func(what string, done, total int)
}

// DefaultBlocks give ratios an interval from the 14th to the 27th.
const DefaultBlocks = 40

func (o *Options) progress(what string, done, total int) {
	if o.Progress != nil {
		o.Progress(what, done, total)
	}
}

func (o *Options) has(baseline string) bool {
	for _, b := range o.Baselines {
		if b == baseline {
			return true
		}
	}
	return false
}

// Check finds what can not be measured.
func (o *Options) Check() error {
	switch {
	case o.Mode != Hot && o.Mode != Warm:
		return fmt.Errorf("--mode %s: it is hot or warm", o.Mode)
	case o.InFlight < 1 || o.InFlight > MaxInFlight:
		return fmt.Errorf("--inflight %d: an executor holds 1 to %d invocations", o.InFlight, MaxInFlight)
	case o.Mode == Warm && o.InFlight > 1:
		return errors.New("--mode warm with --inflight: with several invocations in flight nobody sleeps; leave one of them out")
	case o.Repetitions < 0 || o.Repetitions > 10_000_000:
		return errors.New("--repetitions: 1 to 10000000, or 0 for as many as are worth it")
	case o.Blocks < 1 || o.Blocks > 10_000:
		return errors.New("--blocks: 1 to 10000")
	case o.Executors < 1 || o.Clients < 1 || o.Cores < 1 || o.Items < 1:
		return errors.New("--executors, --clients, --cores and --items are at least 1")
	}
	return nil
}

// plan is how many operations a contestant does.
type plan struct {
	blocks, count, warmup int
}

// capacity is how many operations a block has at most.
func (p plan) capacity() int { return max(p.count, p.warmup) + settle }

// most is how many operations are worth it by default, where each moves that many bytes.
func (o *Options) plan(bytes int) plan {
	repetitions := o.Repetitions
	if repetitions == 0 {
		const most, least, volume = 20_000, 200, 2 << 30
		repetitions = most
		if o.Mode == Warm {
			repetitions = 2_000
		}
		if bytes > 0 {
			repetitions = max(least, min(repetitions, volume/bytes))
		}
	}
	p := plan{blocks: min(o.Blocks, repetitions)}
	p.count = (repetitions + p.blocks - 1) / p.blocks
	p.warmup = o.Warmup
	if p.warmup < 0 {
		p.warmup = p.count
	}
	return p
}
