package record

import (
	"cmp"
	"slices"
	"time"
)

// Format is the version of the file.
const Format = 1

// Run is one run of sublet-bench.
type Run struct {
	Format    int        `json:"format"`
	Command   []string   `json:"command"`
	Began     time.Time  `json:"began"`
	Seconds   float64    `json:"seconds"`
	Machine   Machine    `json:"machine"`
	Versions  Versions   `json:"versions"`
	Client    []int      `json:"client_cpus"`  // those that the measuring process was bound to
	Bound     bool       `json:"client_bound"` // and it had them for itself
	Executors []Executor `json:"executors"`
	// Notes say what disturbed the run, in sentences.
	Notes  []string  `json:"notes"`
	Series []*Series `json:"-"` // a line each
}

// Interrupted notes that the run was ended before its time. What has no sample is left out.
func (r *Run) Interrupted() {
	r.Notes = append(r.Notes, "Interrupted: it was to measure more.")
	r.Series = slices.DeleteFunc(r.Series, func(s *Series) bool { return len(s.Blocks) == 0 })
}

// Machine is the client's.
type Machine struct {
	Host      string `json:"host"`
	Processor string `json:"processor"`
	Cores     int    `json:"cores"` // that the job may use
	CPUs      int    `json:"cpus"`  // hardware threads of them
	Kernel    string `json:"kernel"`
	System    string `json:"system"`
	Virtual   bool   `json:"virtual"`
}

// Versions are those of what was measured.
type Versions struct {
	Sublet string `json:"sublet"`
	Go     string `json:"go"`
	MPI    string `json:"mpi,omitempty"`
	// Libfabric is set where it took part.
	Libfabric string `json:"libfabric,omitempty"`
}

// Executor is one that took part.
type Executor struct {
	Node           string `json:"node"`
	Core           int    `json:"core"` // -1: not bound
	Oversubscribed bool   `json:"oversubscribed"`
}

// What was measured.
const (
	Latency    = "latency"
	Bandwidth  = "bandwidth"
	Throughput = "throughput"
	Cold       = "cold"
	Scale      = "scale"
)

// Sublet is the name of the series that baselines are compared with.
const Sublet = "sublet"

// Phases of a cold start, as a client sees them: the modes of its series.
const (
	PhaseConnect = "connect"      // a session, with a helper or a resource manager that runs
	PhaseLease   = "lease"        // until the executors are there, their library loaded, their transport tried
	PhaseFirst   = "first result" // of each executor, in turn
	PhaseTotal   = "lease to first result"
	PhaseLast    = "last client ready" // the same, of the client that was last, when several came at once
	PhaseRelease = "release"
)

// Baselines of scale.
const (
	OneCore = "one core" // the same work by one thread of the client
	Threads = "threads"  // by as many threads of the client as Sublet uses cores
)

// Series are samples of one thing. Two series with the same Key are comparable, block by block.
type Series struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"` // Sublet, or a baseline's
	Mode      string `json:"mode"` // hot, warm, or what a cold phase is called
	Transport string `json:"transport"`
	Provider  string `json:"provider"`
	Bytes     int    `json:"bytes"` // of an input, and of an output unless the kind is one way
	// Against is set where the payload is another one than that of the series that it is compared with.
	Against   int  `json:"against_bytes,omitempty"`
	Touched   bool `json:"touched"`
	InFlight  int  `json:"in_flight"`
	Executors int  `json:"executors"`
	Clients   int  `json:"clients"`
	// Pooled: executors were processes that had been started before, and waited.
	Pooled bool `json:"pooled,omitempty"`
	// Operations is how many of them a sample is the time of.
	Operations int `json:"operations"`
	// Beside: blocks were not measured in turns with Sublet's, but before or after.
	Beside bool    `json:"beside,omitempty"`
	Blocks []Block `json:"blocks"`
}

// Block is what was measured in one go.
type Block struct {
	Elapsed int64   `json:"elapsed_ns"`
	Samples []int64 `json:"samples_ns"`
}

// Samples are those of all blocks, in order.
func (s *Series) Samples() []int64 {
	var all []int64
	for _, b := range s.Blocks {
		all = append(all, b.Samples...)
	}
	return all
}

// BlockSamples are those of each block.
func (s *Series) BlockSamples() [][]int64 {
	all := make([][]int64, len(s.Blocks))
	for i := range s.Blocks {
		all[i] = s.Blocks[i].Samples
	}
	return all
}

// Rate is how many operations a second there were.
func (s *Series) Rate() float64 {
	operations, elapsed := 0, int64(0)
	for _, b := range s.Blocks {
		operations += len(b.Samples) * s.Operations
		elapsed += b.Elapsed
	}
	if elapsed == 0 {
		return 0
	}
	return float64(operations) * 1e9 / float64(elapsed)
}

// IsRate tells whether more is better: operations in a time, and not the time of one.
func (s *Series) IsRate() bool { return s.Kind == Bandwidth || s.Kind == Throughput }

// Values are what blocks are compared by: medians of nanoseconds, or operations per second.
func (s *Series) Values() []float64 {
	values := make([]float64, 0, len(s.Blocks))
	for _, b := range s.Blocks {
		if s.IsRate() {
			values = append(values, float64(len(b.Samples)*s.Operations)*1e9/float64(b.Elapsed))
			continue
		}
		sorted := slices.Sorted(slices.Values(b.Samples))
		n := len(sorted)
		values = append(values, float64(sorted[(n-1)/2]+sorted[n/2])/2)
	}
	return values
}

// Key is what a series measures, whoever did.
type Key struct {
	Kind, Mode                          string
	Bytes, InFlight, Executors, Clients int
	Touched, Pooled                     bool
}

// Key names what was measured.
func (s *Series) Key() Key {
	return Key{s.Kind, s.Mode, cmp.Or(s.Against, s.Bytes), s.InFlight, s.Executors, s.Clients, s.Touched, s.Pooled}
}
