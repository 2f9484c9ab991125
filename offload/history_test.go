package offload_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/offload"
)

// go test ./offload -run TestHistories -histories 10m
var historiesTime = flag.Duration("histories", 9*time.Second, "how long TestHistories goes on, on each of its transports")

// Whatever happens to the invocations of a lease, in whatever order, and to the messages that carry
// them: each ends exactly once, with the right bytes or an error that explains itself; its buffers
// are not touched any more afterwards; nothing is left.
func TestHistories(t *testing.T) {
	for _, way := range []way{{"ring", ""}, {"ofi", "tcp"}} {
		over(t, way, func(t *testing.T) {
			s := session(t)
			t.Cleanup(func() { offload.SetTampering(nil) })
			deadline := time.Now().Add(*historiesTime)
			var sum tally
			// On a slow machine it goes on until everything has happened.
			goesOn := func() bool {
				return time.Now().Before(deadline) || !sum.hasAll() && time.Now().Before(deadline.Add(time.Minute))
			}
			for !t.Failed() && goesOn() {
				rapid.Check(t, func(rt *rapid.T) {
					if goesOn() {
						replay(rt, t, s, &sum)
					}
				})
			}
			t.Logf("%d histories, %d invocations: %d right (%d after losses), %d failed, %d lost, %d poison, %d by their contexts, %d released, %d not sent for want of a slot; %d connections with faults",
				sum.histories, sum.invocations, sum.right, sum.rescued, sum.failed, sum.lost, sum.poisoned, sum.ended, sum.closed, sum.busy, sum.faulty)
			if !sum.hasAll() {
				t.Error("not everything that can happen has happened")
			}
		})
	}
}

// What a function is told to do, as testdata/history.c knows it.
const (
	succeed = iota
	fail
	crash
	exit
)

// order is one invocation, and what is known of it.
type order struct {
	number     uint64
	action     int
	in, out    *offload.Buffer[byte]
	want       []byte
	future     offload.Future
	ctx        context.Context
	cancel     context.CancelFunc
	mu         sync.Mutex
	over       bool // a Wait has returned the result
	size       int
	err        error
	settled    bool
	pinned     bool          // to one executor
	background chan struct{} // somebody waits, until it is closed
	failure    error         // of that
}

// wait waits for the result. All who wait see the same one; that it was taken before is said only
// when it was.
func (o *order) wait(ctx context.Context) error {
	size, err := o.future.Wait(ctx)
	if err != nil && err == ctx.Err() { //nolint:errorlint // the waiting's own end, unwrapped
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case errors.Is(err, offload.ErrWaited):
		if !o.over && o.background == nil { // else who took it is about to say so
			return fmt.Errorf("order %d was waited for, but nobody has its result", o.number)
		}
	case o.over && (size != o.size || err != o.err): //nolint:errorlint // the very same
		return fmt.Errorf("order %d has ended twice: with %d, %w and with %d, %w", o.number, o.size, o.err, size, err)
	default:
		o.over, o.size, o.err = true, size, err
	}
	return nil
}

// GoString is how rapid prints an order.
func (o *order) GoString() string { return fmt.Sprintf("order %d, action %d", o.number, o.action) }

// history is a lease's.
type history struct {
	*rapid.T
	test     *testing.T
	session  *offload.Session
	lease    *offload.Lease
	orders   []*order
	quiet    bool // nothing has happened that may cost an executor
	released bool
	number   uint64
	busy     int
}

// What may happen to a message so that it is found out. (What changes bytes between two ends that
// both believe them is found by nobody: see RATIONALE.md.)
var faults = []fabric.Fault{
	{Kind: fabric.Delay, For: 3 * time.Millisecond},
	{Kind: fabric.Delay, For: 30 * time.Millisecond},
	{Kind: fabric.Duplicate},
	{Kind: fabric.Break},
	{Kind: fabric.Corrupt, Byte: 3},  // id
	{Kind: fabric.Corrupt, Byte: 10}, // function
	{Kind: fabric.Corrupt, Byte: 22}, // size of the input
	{Response: true, Kind: fabric.Delay, For: 3 * time.Millisecond},
	{Response: true, Kind: fabric.Delay, For: 30 * time.Millisecond},
	{Response: true, Kind: fabric.Duplicate},
	{Response: true, Kind: fabric.Break},
	{Response: true, Kind: fabric.Corrupt, Byte: 8},  // status
	{Response: true, Kind: fabric.Corrupt, Byte: 23}, // size
	{Kind: fabric.Drop},
	{Response: true, Kind: fabric.Drop},
}

// silent are those that only time tells of: seconds each.
var silent = []fabric.FaultKind{fabric.Drop, fabric.Corrupt}

// replay draws one history and lives through it.
func replay(rt *rapid.T, t *testing.T, s *offload.Session, sum *tally) {
	h := &history{T: rt, test: t, session: s, quiet: true}
	sum.histories++
	faulty := h.arrangeFaults()
	executors := rapid.IntRange(1, 2).Draw(rt, "executors")
	hot := rapid.SampledFrom([]time.Duration{offload.AlwaysHot, offload.NeverHot, time.Millisecond}).Draw(rt, "hot timeout")
	var err error
	h.lease, err = s.Lease(within(t), offload.Want{Executors: executors, Library: library, Oversubscribe: true, HotTimeout: hot})
	h.must(err)
	rt.Repeat(map[string]func(*rapid.T){
		"invoke":     func(rt *rapid.T) { h.T = rt; h.invoke() },
		"invoke too": func(rt *rapid.T) { h.T = rt; h.invoke() },
		"wait":       func(rt *rapid.T) { h.T = rt; h.wait() },
		"background": func(rt *rapid.T) { h.T = rt; h.waitInBackground() },
		"cancel":     func(rt *rapid.T) { h.T = rt; h.cancel() },
		"kill":       func(rt *rapid.T) { h.T = rt; h.kill() },
		"kill all":   func(rt *rapid.T) { h.T = rt; h.killHelper() },
	})
	h.T = rt
	if rapid.IntRange(0, 3).Draw(rt, "release before the end") == 0 {
		h.released = true
		h.must(h.lease.Release())
	}
	for _, o := range h.orders {
		h.settle(o, patience)
	}
	h.must(h.lease.Release())
	for _, o := range h.orders {
		h.check(o)
		o.cancel()
		h.must(o.in.Free())
		h.must(o.out.Free())
	}
	if n, size := fabric.Usage(fabric.Slots); n != 0 {
		rt.Fatalf("%d connections with %d bytes of slots are left", n, size)
	}
	sum.faulty += int(faulty.Load())
	sum.busy += h.busy
	sum.add(h.orders, h.lease.Lost())
}

func (h *history) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// arrangeFaults has some of the lease's connections meet one fault each, and counts them.
func (h *history) arrangeFaults() *atomic.Int32 {
	var faulty atomic.Int32
	seed := rapid.Uint64().Draw(h.T, "seed of the faults")
	if rapid.Bool().Draw(h.T, "no faults") {
		offload.SetTampering(nil)
		return &faulty
	}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	offload.SetTampering(func(c *fabric.Client) {
		mu.Lock()
		defer mu.Unlock()
		fault := faults[random.IntN(len(faults))]
		if random.IntN(2) == 0 || slices.Contains(silent, fault.Kind) && random.IntN(4) > 0 {
			return
		}
		fault.Invocation = probed + 1 + uint64(random.IntN(12))
		if err := c.Inject([]fabric.Fault{fault}); err != nil {
			h.test.Error(err)
		}
		faulty.Add(1)
	})
	h.quiet = false
	return &faulty
}

func (h *history) invoke() {
	h.number++
	o := &order{number: h.number}
	switch rapid.IntRange(0, 29).Draw(h.T, "action") {
	case 0:
		o.action = crash
	case 1:
		o.action = exit
	case 2, 3, 4:
		o.action = fail
	}
	size := rapid.SampledFrom([]int{16, 24, 32, 33, 100, 5000, 65536, 70_000, 300_000}).Draw(h.T, "size")
	milliseconds := rapid.SampledFrom([]uint32{0, 0, 0, 1, 10, 100}).Draw(h.T, "milliseconds")
	o.in, o.out = offload.Alloc[byte](h.session, size), offload.Alloc[byte](h.session, size)
	in := o.in.Slice()
	pattern(in, h.number)
	binary.NativeEndian.PutUint64(in, o.number)
	binary.NativeEndian.PutUint32(in[8:], uint32(o.action))
	binary.NativeEndian.PutUint32(in[12:], milliseconds)
	o.want = make([]byte, size)
	for i, b := range in {
		o.want[i] = b ^ byte(o.number+31*uint64(i))
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	if after := rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 50}).Draw(h.T, "deadline"); after > 0 {
		o.ctx, o.cancel = context.WithTimeout(context.Background(), time.Duration(after)*time.Millisecond)
		h.quiet = false
	}
	if o.action == crash || o.action == exit {
		h.quiet = false
	}
	switch rapid.IntRange(0, 9).Draw(h.T, "way") {
	case 0: // whatever becomes of that one
		o.pinned = true
		executors := h.lease.Executors()
		o.future = executors[rapid.IntRange(0, len(executors)-1).Draw(h.T, "executor")].Invoke(o.ctx, "history", o.in, o.out)
	case 1, 2, 3:
		future, err := h.lease.TryInvoke(o.ctx, "history", o.in, o.out)
		if errors.Is(err, offload.ErrBusy) { // nothing was sent, and the buffers are ours
			h.busy++
			o.cancel()
			h.must(o.in.Free())
			h.must(o.out.Free())
			return
		}
		h.must(err)
		o.future = future
	default:
		o.future = h.lease.Invoke(o.ctx, "history", o.in, o.out)
	}
	h.orders = append(h.orders, o)
}

// pattern fills bytes with what belongs to a number.
func pattern(b []byte, number uint64) {
	for i := range b {
		b[i] = byte(number*131 + uint64(i)*7)
	}
}

// pick draws an order that has not been settled; nil if there is none.
func (h *history) pick() *order {
	var open []*order
	for _, o := range h.orders {
		if !o.settled {
			open = append(open, o)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return rapid.SampledFrom(open).Draw(h.T, "order")
}

func (h *history) wait() {
	if o := h.pick(); o != nil {
		h.settle(o, time.Duration(rapid.IntRange(0, 20).Draw(h.T, "milliseconds"))*time.Millisecond)
	}
}

func (h *history) waitInBackground() {
	o := h.pick()
	if o == nil || o.background != nil {
		return
	}
	o.background = make(chan struct{})
	go func() {
		defer close(o.background)
		o.failure = o.wait(context.Background())
	}()
}

func (h *history) cancel() {
	if o := h.pick(); o != nil && rapid.IntRange(0, 3).Draw(h.T, "really") == 0 {
		o.cancel()
		h.quiet = false
	}
}

func (h *history) kill() {
	if rapid.IntRange(0, 5).Draw(h.T, "really") > 0 {
		return
	}
	executors := h.lease.Executors()
	if e := executors[rapid.IntRange(0, len(executors)-1).Draw(h.T, "executor")]; e.Ready() {
		_ = syscall.Kill(e.PID(), syscall.SIGKILL) // it may have ended
		h.quiet = false
	}
}

// killHelper takes all executors away at once; the lease gets others from another helper.
func (h *history) killHelper() {
	if rapid.IntRange(0, 39).Draw(h.T, "really") > 0 {
		return
	}
	if e := h.lease.Executors()[0]; e.Ready() {
		if parent := parentOf(e.PID()); parent > 1 {
			_ = syscall.Kill(parent, syscall.SIGKILL)
			h.quiet = false
		}
	}
}
