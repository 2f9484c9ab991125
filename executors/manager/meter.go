package manager

import (
	"math/bits"
	"sync"
	"time"

	"github.com/sublet-hpc/sublet/internal/statspage"
	"github.com/sublet-hpc/sublet/resources/api"
)

// meter counts what a lease uses of this node. Allocated time is the monotonic clock's and CPU time the
// kernel's; executors say only how much of it they spun.
//
//	admitted ── newMeter ──▶ counting ── end: nothing of the lease is left ──▶ ended
//	                          ▲    │ processes come (start) and go (finish), memory is given back (hold)
//	                          └────┘
//
// A nil meter counts nothing: nobody bills leases that a manager grants itself.
type meter struct {
	mu    sync.Mutex
	began time.Time
	over  time.Time // zero: it counts

	held  uint64    // bytes, from since on
	since time.Time // with the monotonic clock
	usage api.Usage
	live  map[*instance]*sample
}

// sample is what was counted of a process.
type sample struct {
	began     time.Time // with the monotonic clock
	cpu       time.Duration
	computing uint64 // nanoseconds, its own word, as is spinning
	spinning  uint64
	spun      uint64 // nanoseconds that were counted as spinning
}

// newMeter begins to count memory at a time.
func newMeter(memory int64, at time.Time) *meter {
	return &meter{began: at, since: at, held: uint64(max(memory, 0)), live: map[*instance]*sample{}}
}

// ownMemory is what a lease's executors have to themselves, in bytes.
func ownMemory(lease api.Lease) int64 { return lease.Resources()[api.Memory] }

// hold notes how much memory the lease has from now on.
func (m *meter) hold(memory int64, at time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allocate(at)
	m.held = uint64(max(memory, 0))
}

// allocate counts memory up to a time. mu is held.
func (m *meter) allocate(at time.Time) {
	if passed := at.Sub(m.since); m.over.IsZero() && passed > 0 {
		m.usage.Allocated = m.usage.Allocated.Plus(api.Product(m.held, uint64(passed)))
		m.since = at
	}
}

// start counts a process from now on: what it has used before, as a spare, is not the lease's.
func (m *meter) start(i *instance) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	first := &sample{began: time.Now()}
	if i.spare {
		first.cpu = i.process.CPUTime()
		first.computing, first.spinning = claimed(i.page.Read())
	}
	m.live[i] = first
}

// finish counts the rest of a process that has been reaped; its page is there still.
func (m *meter) finish(i *instance) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.live[i]; last != nil {
		m.take(i, last)
		delete(m.live, i)
	}
}

// take counts what a process has used since it was looked at. mu is held.
func (m *meter) take(i *instance, last *sample) {
	computing, spinning := claimed(i.page.Read())
	now := sample{
		began: last.began, cpu: max(i.process.CPUTime(), last.cpu),
		computing: max(computing, last.computing), spinning: max(spinning, last.spinning),
	}
	total := uint64(now.cpu - last.cpu)
	// One thread spins, so on however many cores no more can be spun than time has passed.
	passed := uint64(max(time.Since(last.began), 0))
	spun := min(spinningOf(total, now.computing-last.computing, now.spinning-last.spinning), passed-min(last.spun, passed))
	now.spun = last.spun + spun
	m.usage.Spinning = m.usage.Spinning.Plus(api.Uint128Of(spun))
	m.usage.Computing = m.usage.Computing.Plus(api.Uint128Of(total - spun))
	*last = now
}

// end stops counting: nothing of the lease is left.
func (m *meter) end(at time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allocate(at)
	if m.over.IsZero() {
		m.over = at
	}
}

// read says what was used so far, since when, and, if it has ended, until when.
func (m *meter) read(at time.Time) (usage api.Usage, began, over time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allocate(at)
	for i, last := range m.live {
		m.take(i, last)
	}
	return m.usage, m.began, m.over
}

// claimed is how long an executor has computed and spun by its own word, in nanoseconds.
func claimed(stats statspage.Stats) (computing, spinning uint64) {
	return nanoseconds(stats.ComputeTicks, stats.TicksPerSec), nanoseconds(stats.HotTicks, stats.TicksPerSec)
}

// nanoseconds of ticks; at most as many as a lease can last for.
func nanoseconds(ticks, perSecond uint64) uint64 {
	const most = 1 << 62
	hi, lo := bits.Mul64(ticks, uint64(time.Second))
	if hi >= perSecond { // more than 64 bits, or nobody has said what a tick is
		if perSecond == 0 {
			return 0
		}
		return most
	}
	quotient, _ := bits.Div64(hi, lo, perSecond)
	return min(quotient, most)
}

// spinningOf is how much of a CPU time was spinning. The executor's word divides it, and what it does not
// claim is computing: starting, loading, threads of functions, and calls that were not to end. Where it
// claims more than there was, for it waited or shared its core, both are less by the same factor.
func spinningOf(total, computing, spinning uint64) uint64 {
	claims := computing + spinning // at most 2^63
	if claims <= total {
		return spinning
	}
	hi, lo := bits.Mul64(total, spinning)
	share, _ := bits.Div64(hi, lo, claims) // hi < claims: total and spinning/claims are less
	return share
}
