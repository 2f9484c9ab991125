package bars

import (
	"strings"

	"github.com/sublet-hpc/sublet/bench/record"
)

// promise is a row, or several: one for each series that it is about.
type promise struct {
	what     string
	about    func(*record.Series) bool
	baseline string  // the figure is the ratio to it; empty: the figure is Sublet's own
	tail     bool    // the ratio is that of the 99th percentiles
	atLeast  bool    // the bar is the least
	unit     string  // of Sublet's own figure
	scale    float64 // the unit in nanoseconds, or in operations per second
	bar, aim float64
	via, how string // what it goes over, and how to measure it
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// promises are what the project says of its speed, as far as sublet-bench measures it. (That over verbs against
// ib_write_lat is the business of scripts/rdma-lab.)
var promises = []promise{
	{
		what: "8 B, hot, against two cache lines", about: latency("ring", "", 8, true), baseline: "raw", bar: 1.25, aim: 1.05,
		via: "ring", how: "sublet-bench latency --transport ring --sizes 8 --baseline raw",
	},
	{
		what: "8 B, hot, against MPI's ping-pong", about: latency("ring", "", 8, true), baseline: "mpi", bar: 0.8, aim: 0.65,
		via: "ring", how: "sublet-bench latency --transport ring --sizes 8 --baseline mpi",
	},
	{
		what: "8 B, hot, against libfabric alone", about: latency("ofi", "tcp", 8, true), baseline: "raw", bar: 1.10, aim: 1.03,
		via: "tcp", how: "sublet-bench latency --transport ofi --provider tcp --sizes 8 --baseline raw",
	},
	{
		what: "8 B, hot, against libfabric alone", about: latency("ofi", "shm", 8, true), baseline: "raw", bar: 1.25, aim: 1.10,
		via: "shm", how: "sublet-bench latency --transport ofi --provider shm --sizes 8 --baseline raw",
	},
	{
		what: "4 MiB, hot, against memcpy in and out", about: latency("ring", "", 4*mib, true), baseline: "raw", bar: 1.15, aim: 1.0,
		via: "ring", how: "sublet-bench latency --transport ring --sizes 4MiB --baseline raw",
	},
	{
		what: "64 MiB by reference, untouched, against 8 B", about: latency("ring", "", 64*mib, false), baseline: "smallest", bar: 1.2, aim: 1.0,
		via: "ring", how: "sublet-bench latency --transport ring --sizes 8,64MiB --touch=false --baseline smallest",
	},
	{
		what: "bandwidth, against pipelined writes", about: bandwidth("tcp"), baseline: "raw", atLeast: true, bar: 0.9, aim: 0.97,
		via: "tcp", how: "sublet-bench bandwidth --transport ofi --provider tcp --sizes 1MiB..16MiB --baseline raw",
	},
	{
		what: "bandwidth, against pipelined writes", about: bandwidth("shm"), baseline: "raw", atLeast: true, bar: 0.9, aim: 0.97,
		via: "shm", how: "sublet-bench bandwidth --transport ofi --provider shm --sizes 1MiB..16MiB --baseline raw",
	},
	{
		what: "8 B, warm, against a bare wake", about: warm, baseline: "raw", bar: 1.3, aim: 1.1,
		via: "ring", how: "sublet-bench latency --mode warm --sizes 8 --baseline raw",
	},
	{
		what: "8 B, warm, p99 against a bare wake's", about: warm, baseline: "raw", tail: true, bar: 1.5, aim: 1.1,
		via: "ring", how: "sublet-bench latency --mode warm --sizes 8 --baseline raw",
	},
	{
		what: "cold, from the pool", about: cold("ring", "", true), unit: "ms", scale: 1e6, bar: 8, aim: 2,
		via: "ring", how: "sublet-bench cold --transport ring",
	},
	{
		what: "cold, without a pool", about: cold("ring", "", false), unit: "ms", scale: 1e6, bar: 40, aim: 15,
		via: "ring", how: "sublet-bench cold --transport ring, without a pool",
	},
	{
		what: "cold, without a pool", about: cold("ofi", "tcp", false), unit: "ms", scale: 1e6, bar: 400, aim: 100,
		via: "tcp", how: "sublet-bench cold --transport ofi --provider tcp, without a pool",
	},
	{
		what: "16 clients at once, the last one ready", about: crowd, unit: "ms", scale: 1e6, bar: 400, aim: 150,
		via: "ring", how: "sublet-bench cold --transport ring --clients 16 --repetitions 10",
	},
	{
		what: "empty function, 8 in flight, one executor", about: throughput, unit: "M/s", scale: 1e6, atLeast: true, bar: 4, aim: 8,
		via: "ring", how: "sublet-bench throughput --transport ring",
	},
	{
		what: "8 B, hot, against libfabric alone", about: latency("ofi", "verbs", 8, true), baseline: "raw", bar: 1.15, aim: 1.05,
		via: "verbs", how: "make rdma-lab-test, where there is no RDMA device",
	},
	{
		what: "1 KiB, hot, against libfabric alone", about: latency("ofi", "verbs", kib, true), baseline: "raw", bar: 1.15, aim: 1.05,
		via: "verbs", how: "make rdma-lab-test, where there is no RDMA device",
	},
}

// by tells whether a series went over a transport, ofi meaning each over libfabric, and a provider.
func by(s *record.Series, transport, provider string) bool {
	return strings.HasPrefix(s.Transport, transport) && (provider == "" || strings.HasPrefix(s.Provider, provider))
}

func latency(transport, provider string, bytes int, touched bool) func(*record.Series) bool {
	return func(s *record.Series) bool {
		return s.Kind == record.Latency && s.Mode == "hot" && s.InFlight == 1 && s.Bytes == bytes && s.Touched == touched && by(s, transport, provider)
	}
}

func bandwidth(provider string) func(*record.Series) bool {
	return func(s *record.Series) bool {
		return s.Kind == record.Bandwidth && s.Bytes >= mib && s.Touched && by(s, "ofi", provider)
	}
}

func warm(s *record.Series) bool {
	return s.Kind == record.Latency && s.Mode == "warm" && s.Bytes == 8 && s.Touched
}

func cold(transport, provider string, pooled bool) func(*record.Series) bool {
	return func(s *record.Series) bool {
		return s.Kind == record.Cold && s.Mode == record.PhaseTotal && s.Clients == 1 && s.Pooled == pooled && by(s, transport, provider)
	}
}

func crowd(s *record.Series) bool {
	return s.Kind == record.Cold && s.Mode == record.PhaseLast && s.Clients == 16 && by(s, "ring", "")
}

func throughput(s *record.Series) bool {
	return s.Kind == record.Throughput && s.Executors == 1 && s.InFlight == 8 && by(s, "ring", "")
}
