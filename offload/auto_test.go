package offload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// toil is work of an adjustable cost, which the caller and executors do alike.
type toil struct {
	in, out *offload.Buffer[uint64]
	want    []uint64
	remote  int // items sent
	local   int
	before  func(part offload.Part) // each sending; may be nil
}

// newToil makes n items of so many rounds each, about a nanosecond one.
func newToil(s *offload.Session, n int, rounds func(i int) uint32) *toil {
	w := &toil{in: offload.Alloc[uint64](s, n), out: offload.Alloc[uint64](s, n), want: make([]uint64, n)}
	for i := range w.in.Slice() {
		w.in.Slice()[i] = uint64(rounds(i))<<32 | uint64(i)
		w.want[i] = toilOnce(w.in.Slice()[i])
	}
	return w
}

func same(rounds uint32) func(int) uint32 { return func(int) uint32 { return rounds } }

// toilOnce is what the function toil does with an item (testdata/functions.c).
func toilOnce(item uint64) uint64 {
	x := item
	for round := item >> 32; round > 0; round-- {
		x = (x^x>>29)*6364136223846793005 + 1442695040888963407
	}
	return x
}

func (w *toil) work() offload.Work {
	return offload.Work{
		Remote: func(ctx context.Context, p offload.Part) offload.Future {
			if w.before != nil {
				w.before(p)
			}
			w.remote += p.Hi - p.Lo
			return p.Executor.Invoke(ctx, "toil", w.in.Sub(p.Lo, p.Hi), w.out.Sub(p.Lo, p.Hi))
		},
		Local: func(lo, hi int) error {
			w.local += hi - lo
			in, out := w.in.Slice()[lo:hi], w.out.Slice()[lo:hi]
			for i := range in {
				out[i] = toilOnce(in[i])
			}
			return nil
		},
	}
}

// check wants the first items right, and forgets them.
func (w *toil) check(t testing.TB, items int) {
	t.Helper()
	if i := slices.IndexFunc(w.out.Slice()[:items], func(x uint64) bool { return x == 0 }); i >= 0 && w.want[i] != 0 {
		t.Fatalf("item %d was not done", i)
	}
	if !slices.Equal(w.out.Slice()[:items], w.want[:items]) {
		t.Fatal("wrong results")
	}
	clear(w.out.Slice())
}

// quiet notes what is said.
func quiet(t testing.TB) func(string) {
	return func(text string) { t.Logf("said: %s", text) }
}

// Every step is right, executors take part, and the report adds up.
func TestAuto(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const n = 20_000
		w := newToil(s, n, same(400))
		var trace bytes.Buffer
		sp, err := s.Split(within(t), offload.Plan{Items: n, Share: offload.Auto, Lease: l, Grain: 8, Trace: &trace, Say: quiet(t)})
		check(t, err)
		const steps = 12
		items := 0
		for step := range steps {
			size := n - 8*step
			check(t, sp.StepN(within(t), size, w.work()))
			w.check(t, size)
			items += size
		}
		r := sp.Report()
		sum, parts := r.Local.Items, r.Local.Parts
		for _, e := range r.Executors {
			sum += e.Items
			parts += e.Parts
		}
		if sum != int64(items) || r.Steps != steps || len(r.Executors) != 2 || r.Executors[0].Items+r.Executors[1].Items == 0 {
			t.Errorf("%d items in %d steps were reported as %+v", items, steps, r)
		}
		encoded, err := json.Marshal(r)
		check(t, err)
		t.Logf("%s", encoded)
		check(t, sp.Close())
		check(t, sp.Close())
		if err := sp.Step(within(t), w.work()); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("a step after Close: %v", err)
		}
		var events struct {
			TraceEvents []struct {
				Name, Ph string
				Tid      int
				Ts, Dur  float64
				Args     struct{ Step, Lo, Hi int }
			}
		}
		check(t, json.Unmarshal(trace.Bytes(), &events))
		covered, boxes := 0, 0
		for _, e := range events.TraceEvents {
			if e.Ph == "X" {
				covered += e.Args.Hi - e.Args.Lo
				boxes++
			}
			if e.Dur < 0 {
				t.Errorf("a part of %g µs", e.Dur)
			}
		}
		if covered != items || boxes != int(parts) {
			t.Errorf("the trace shows %d items in %d parts; there were %d in %d", covered, boxes, items, parts)
		}
	})
}

// Executors that are killed in the middle of steps, again and again, cost nothing but time.
func TestAutoWithKills(t *testing.T) {
	overProtocols(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const n = 4000
		w := newToil(s, n, same(2000))
		sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Say: quiet(t)})
		sent := 0
		w.before = func(p offload.Part) {
			if sent++; sent%7 == 5 && p.Executor.Ready() {
				_ = syscall.Kill(p.Executor.PID(), syscall.SIGKILL)
			}
		}
		for deadline := time.Now().Add(time.Minute); (sp.Redone() < 3 || l.Lost() < 3) && time.Now().Before(deadline); {
			check(t, sp.Step(within(t), w.work()))
			w.check(t, n)
		}
		if sp.Redone() < 3 {
			t.Errorf("%d parts were redone, %d executors lost", sp.Redone(), l.Lost())
		}
	})
}

// An executor that is stopped has its part taken away; the step goes on.
func TestAutoTakesPartsBack(t *testing.T) {
	offload.Trust(t)
	s := session(t)
	l := lease(t, s, 1)
	const n = 4000
	w := newToil(s, n, same(2000))
	sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Say: quiet(t)})
	stopped := false
	w.before = func(p offload.Part) {
		if sp.Report().Steps > 5 && !stopped {
			stopped = true
			check(t, syscall.Kill(p.Executor.PID(), syscall.SIGSTOP))
		}
	}
	for deadline := time.Now().Add(time.Minute); !stopped || l.Lost() == 0; {
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		if time.Now().After(deadline) {
			t.Fatalf("stopped: %v; lost: %d; %+v", stopped, l.Lost(), sp.Report())
		}
	}
	if loss := l.Losses()[0].Error(); !strings.Contains(loss, "others do them") {
		t.Errorf("the loss: %s", loss)
	}
}

// A function's error, and Local's, end the step; the next one goes on as if nothing had been.
func TestAutoFailures(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	const n = 4000
	w := newToil(s, n, same(1000))
	sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Say: quiet(t)})
	for range 3 {
		check(t, sp.Step(within(t), w.work()))
	}
	failing := w.work()
	failing.Remote = func(ctx context.Context, p offload.Part) offload.Future {
		return p.Executor.Invoke(ctx, "fail", nil, nil)
	}
	var failed *offload.FunctionError
	for range 100 { // until an executor gets something
		if err := sp.Step(within(t), failing); errors.As(err, &failed) {
			break
		}
	}
	if failed == nil {
		t.Error("no step failed with a function that does")
	}
	wrong := errors.New("wrong")
	failing = w.work()
	failing.Local = func(int, int) error { return wrong }
	if err := sp.Step(within(t), failing); !errors.Is(err, wrong) {
		t.Errorf("a step that fails here: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := sp.Step(ended, w.work()); !errors.Is(err, context.Canceled) {
		t.Errorf("a step whose context had ended: %v", err)
	}
	clear(w.out.Slice())
	check(t, sp.Step(within(t), w.work()))
	w.check(t, n)
	poison := w.work()
	poison.Remote = func(ctx context.Context, p offload.Part) offload.Future {
		return p.Executor.Invoke(ctx, "crash", nil, nil)
	}
	var err error
	for range 100 {
		if err = sp.Step(within(t), poison); err != nil {
			break
		}
	}
	if !errors.Is(err, offload.ErrPoison) {
		t.Errorf("a part that ends two executors: %v", err)
	}
	check(t, sp.Step(within(t), w.work()))
	w.check(t, n)
}

// What must not be repeated is reported.
func TestAutoNotRepeatable(t *testing.T) {
	s := session(t)
	l, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, NotRepeatable: true})
	check(t, err)
	const n = 4000
	w := newToil(s, n, same(1000))
	sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Say: quiet(t)})
	killing := w.work()
	killing.Remote = func(ctx context.Context, p offload.Part) offload.Future {
		return p.Executor.Invoke(ctx, "crash", nil, nil)
	}
	var lost *offload.ExecutorLost
	for range 100 {
		if err := sp.Step(within(t), killing); errors.As(err, &lost) {
			return
		}
	}
	t.Error("no loss was reported")
}

// Nothing is leased until it is worth it; then it is, in the background; Close gives it back.
func TestAutoLeases(t *testing.T) {
	s := session(t)
	const n = 10_000
	w := newToil(s, n, same(1000))
	want := offload.Want{Executors: 1, Library: library, Oversubscribe: true}
	waitFor(t, "short step", func() bool {
		var said []string
		sp, err := s.Split(within(t), offload.Plan{Items: n, Share: offload.Auto, Want: want, Say: func(text string) { said = append(said, text) }})
		check(t, err)
		check(t, sp.StepN(within(t), 10, w.work()))
		short := sp.Report().Local.Seconds < 0.01 // a machine that is busy elsewhere may make it as long as a lease takes
		check(t, sp.Close())
		if short && (len(said) != 1 || !strings.Contains(said[0], "nothing was leased")) {
			t.Errorf("said %q", said)
		}
		return short
	})
	sp, err := s.Split(within(t), offload.Plan{Items: n, Share: offload.Auto, Want: want, Say: quiet(t)})
	check(t, err)
	check(t, sp.StepN(within(t), 10, w.work()))
	if r := sp.Report(); r.Leases != 0 || w.remote != 0 {
		t.Errorf("ten items of a microsecond: %+v", r)
	}
	waitFor(t, "lease", func() bool {
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		return sp.Report().Leases == 1 && w.remote > 0
	})
	r := sp.Report()
	if len(r.Executors) != 1 || r.LeaseSeconds <= 0 {
		t.Errorf("%+v", r)
	}
	check(t, sp.Close())

	// Who knows that much is to come asks at once, and Close does not wait for what was asked for.
	sp, err = s.Split(within(t), offload.Plan{Items: n, Share: offload.Auto, Want: want, Steps: 1_000_000, Say: quiet(t)})
	check(t, err)
	check(t, sp.StepN(within(t), 100, w.work()))
	check(t, sp.Close())
}

// Without executors to be had all is done here, and it is said once.
func TestAutoWithoutExecutors(t *testing.T) {
	s := session(t)
	const n = 10_000
	w := newToil(s, n, same(1000))
	var said []string
	sp := split(t, s, offload.Plan{
		Items: n, Share: offload.Auto, Want: offload.Want{Executors: 1000, Library: library}, Steps: 1_000_000,
		Say: func(text string) { said = append(said, text) },
	})
	waitFor(t, "refusal", func() bool {
		check(t, sp.Step(within(t), w.work()))
		w.check(t, n)
		return len(said) > 0
	})
	check(t, sp.Step(within(t), w.work()))
	if r := sp.Report(); len(said) != 1 || !strings.Contains(said[0], "1000") || r.Off == "" || w.remote != 0 {
		t.Errorf("said %q; %+v", said, r)
	}
}

// A step that is too short for anybody else is done here, and that is said once, with the numbers.
func TestAutoTooShort(t *testing.T) {
	for _, transport := range []way{{"ofi-write", "tcp"}} {
		over(t, transport, func(t *testing.T) {
			s := session(t)
			l := lease(t, s, 1)
			const n = 100
			w := newToil(s, n, same(10))
			var said []string
			sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Say: func(text string) { said = append(said, text) }})
			waitFor(t, "word", func() bool {
				check(t, sp.Step(within(t), w.work()))
				w.check(t, n)
				return len(said) > 0
			})
			for range 200 {
				check(t, sp.Step(within(t), w.work()))
				w.check(t, n)
			}
			if len(said) != 1 || !strings.Contains(said[0], "does not pay") {
				t.Errorf("said %q", said)
			}
			t.Log(said[0])
		})
	}
}

// Constants stay: each executor is brought a piece once, and boundaries move to pieces that it has.
func TestAutoResident(t *testing.T) {
	overBoth(t, func(t *testing.T) {
		s := session(t)
		l := lease(t, s, 2)
		const n = 6000
		w := newToil(s, n, same(1000))
		sp := split(t, s, offload.Plan{Items: n, Share: offload.Auto, Lease: l, Resident: true, Steps: 40, Say: quiet(t)})
		pieces := map[int]offload.Span{}
		w.before = func(p offload.Part) {
			if known, ok := pieces[p.Index]; ok && known != p.Piece {
				t.Errorf("piece %d was %v, and is %v", p.Index, known, p.Piece)
			}
			pieces[p.Index] = p.Piece
			if p.Lo < p.Piece.Lo || p.Hi > p.Piece.Hi || p.Lo >= p.Hi {
				t.Errorf("a part of %d to %d of %v", p.Lo, p.Hi, p.Piece)
			}
		}
		for step := range 40 {
			if step == 20 {
				check(t, syscall.Kill(l.Executors()[0].PID(), syscall.SIGKILL))
			}
			check(t, sp.Step(within(t), w.work()))
			w.check(t, n)
		}
		t.Logf("%d pieces; %+v", len(pieces), sp.Report())
		if len(pieces) == 0 || len(pieces) > 40 {
			t.Errorf("%d pieces", len(pieces))
		}
	})
}

// The sum is the same to the last bit, whoever has computed what.
func TestSplitReduce(t *testing.T) {
	s := session(t)
	l := lease(t, s, 2)
	const n, grain = 1003, 10
	in, out := offload.Alloc[float64](s, n), offload.Alloc[float64](s, n)
	for i := range in.Slice() {
		in.Slice()[i] = 1 / float64(i+1)
	}
	first := 0.0
	for step, share := range []float64{0, 0.5, 1, offload.Auto, offload.Auto} {
		sp := split(t, s, offload.Plan{Items: n, Grain: grain, Share: share, Lease: l, Say: quiet(t)})
		sum, err := offload.SplitReduce(within(t), sp, out, offload.Work{
			Remote: func(ctx context.Context, p offload.Part) offload.Future {
				r := sp.Results(p.Lo, p.Hi)
				return p.Executor.Invoke(ctx, "square", in.Sub(r.Lo, r.Hi), out.Sub(r.Lo, r.Hi))
			},
			Local: func(lo, hi int) error {
				r := sp.Results(lo, hi)
				for i := r.Lo; i < r.Hi; i++ {
					out.Slice()[i] = in.Slice()[i] * in.Slice()[i]
				}
				return nil
			},
		}, func(a, b float64) float64 { return a + b })
		check(t, err)
		if step == 0 {
			first = sum
		}
		if sum != first || sum < 1.6 || sum > 1.65 {
			t.Errorf("share %g: %v, at first %v", share, sum, first)
		}
		clear(out.Slice())
	}
	small := offload.Alloc[float64](s, 3)
	sp := split(t, s, offload.Plan{Items: n, Grain: grain})
	if _, err := offload.SplitReduce(within(t), sp, small, offload.Work{}, func(a, b float64) float64 { return a + b }); err == nil {
		t.Error("three results for a hundred grains")
	}
}

// A plan that makes no sense says what is wrong with it.
func TestPlans(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	for _, bad := range []struct {
		word string
		plan offload.Plan
	}{
		{"Plan.Items", offload.Plan{Items: -1}},
		{"Plan.Grain", offload.Plan{Grain: -1}},
		{"Plan.Share", offload.Plan{Share: 1.5}},
		{"Plan.Share", offload.Plan{Share: -0.5}},
		{"Plan.Steps", offload.Plan{Steps: -1}},
		{"Plan.Weights", offload.Plan{Items: 2, Weights: []int{1}}},
		{"Plan.Weights", offload.Plan{Items: 1, Weights: []int{-1}}},
		{"Plan.Want", offload.Plan{Lease: l, Want: offload.Want{Executors: 1}}},
	} {
		if _, err := s.Split(within(t), bad.plan); err == nil || !strings.Contains(err.Error(), bad.word) {
			t.Errorf("%+v: %v", bad.plan, err)
		}
	}
	var none *offload.Session
	if _, err := none.Split(within(t), offload.Plan{Lease: l}); err == nil {
		t.Error("a lease of another session was taken")
	}
	if _, err := none.Split(within(t), offload.Plan{Share: offload.Auto, Want: offload.Want{Executors: 1}}); err == nil {
		t.Error("executors without a session")
	}
	alone, err := none.Split(within(t), offload.Plan{Items: 5, Share: offload.Auto})
	check(t, err)
	done := 0
	check(t, alone.Step(within(t), offload.Work{Local: func(lo, hi int) error { done += hi - lo; return nil }}))
	if done != 5 {
		t.Errorf("%d of 5 items without a session", done)
	}
	check(t, alone.Close())
	if err := split(t, s, offload.Plan{Items: 2, Weights: []int{1, 2}}).StepN(within(t), 3, offload.Work{}); err == nil {
		t.Error("more items than weights")
	}
	if err := split(t, s, offload.Plan{Items: 2, Resident: true}).StepN(within(t), 3, offload.Work{}); err == nil {
		t.Error("more items than were divided")
	}
}
