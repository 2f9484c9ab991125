package offload

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// simulated is an executor, or the caller, in a simulated time.
type simulated struct {
	rate, latency float64 // as they are
	until         float64 // when it will have done what it was given
	parts         []Span
	ends          []float64 // when their answers come
	pace          pace
	dies          float64 // seconds into a step; +Inf: it does not
	noise         func() float64
}

// play plays a step: the dealer's decisions, with the caller's loop of Split.loop, in simulated time. It returns how long
// the step takes, and how often each item was done.
func play(t *rapid.T, s *scale, all []*simulated, items int, local *smooth) (seconds float64, done []int) {
	d := dealer{scale: s, workers: make([]worker, len(all))}
	for i, a := range all {
		if i == 0 {
			if local.count > 0 {
				d.workers[0].rate = 1 / local.value
			}
			continue
		}
		d.workers[i] = worker{rate: a.pace.rate(), latency: a.pace.delay(), delay: a.pace.delay()}
		a.until, a.parts, a.ends = 0, nil, nil
	}
	d.begin(items, make([]float64, len(all)), make([]int, len(all)))
	done = make([]int, items)
	do := func(span Span) {
		for i := span.Lo; i < span.Hi; i++ {
			done[i]++
		}
	}
	now, computed, busy := 0.0, 0.0, 0.0
	looked := make([]float64, len(all))
	for turn := 0; ; turn++ {
		if turn > 10*items+1000 {
			t.Fatalf("a step of %d items does not end: %d are left", items, d.items)
		}
		next := math.Inf(1)
		for i, a := range all[1:] {
			w := &d.workers[i+1]
			if now >= a.dies && !w.out {
				for _, part := range a.parts {
					d.lose(part)
				}
				a.parts, a.ends = nil, nil
				d.retire(i + 1)
			}
			for len(a.parts) > 0 && a.ends[0] <= now {
				work := s.work(a.parts[0].Lo, a.parts[0].Hi)
				a.pace.ran(work, work/a.rate*a.noise())
				a.pace.answered(looked[i+1]-a.ends[0]+a.latency, now-a.ends[0]+a.latency)
				do(a.parts[0])
				a.parts, a.ends = a.parts[1:], a.ends[1:]
			}
			looked[i+1] = now
			w.rate, w.latency = a.pace.rate(), a.pace.delay()
			w.delay = max(a.until-now, w.latency)
			for len(a.parts) < ahead && (w.rate > 0 || len(a.parts) == 0) {
				span := d.take(i + 1)
				if span.Len() == 0 {
					break
				}
				a.until = max(a.until, now+a.latency) + s.work(span.Lo, span.Hi)/a.rate*a.noise()
				a.parts, a.ends = append(a.parts, span), append(a.ends, a.until)
				w.delay = max(a.until-now, w.latency)
			}
			if len(a.ends) > 0 {
				next = min(next, a.ends[0], max(a.dies, now))
			}
		}
		span := d.take(0)
		if span.Len() > 0 {
			do(span)
			took := s.work(span.Lo, span.Hi) / all[0].rate * all[0].noise()
			now += took
			computed, busy = computed+s.work(span.Lo, span.Hi), busy+took
			if local.count == 0 && busy > 0 {
				d.workers[0].rate = computed / busy
			}
			continue
		}
		if !math.IsInf(next, 1) {
			now = max(now, next)
			for i := range looked { // it does nothing but look
				looked[i] = now
			}
			continue
		}
		if d.items == 0 {
			break
		}
		for i := range all[1:] {
			d.retire(i + 1)
		}
	}
	if computed > 0 {
		local.add(busy / computed)
	}
	return now, done
}

// optimum is the shortest that a step can take, by search.
func optimum(all []*simulated, work float64) float64 {
	low, high := 0.0, work/all[0].rate
	for range 60 {
		t, sum := (low+high)/2, 0.0
		for _, a := range all {
			sum += a.rate * max(t-a.latency, 0)
		}
		if sum < work {
			low = t
		} else {
			high = t
		}
	}
	return high
}

func drawCrews(t *rapid.T, noise float64) []*simulated {
	var all []*simulated
	for i := range rapid.IntRange(1, 6).Draw(t, "workers") {
		a := &simulated{rate: math.Exp(rapid.Float64Range(math.Log(1e5), math.Log(1e7)).Draw(t, "rate")), dies: math.Inf(1)}
		if i == 0 {
			a.rate = 1e6
		} else {
			a.latency = math.Exp(rapid.Float64Range(math.Log(1e-6), math.Log(1e-2)).Draw(t, "latency"))
		}
		a.noise = func() float64 { return 1 }
		if noise > 0 {
			a.noise = func() float64 { return 1 + rapid.Float64Range(-noise, noise).Draw(t, "noise") }
		}
		all = append(all, a)
	}
	return all
}

// Five steps are enough to come within 5 % of the best there is, whoever takes part, and every item is done once.
func TestDealerConverges(t *testing.T) {
	for _, noise := range []float64{0, 0.1} {
		rapid.Check(t, func(t *rapid.T) {
			all := drawCrews(t, noise)
			items := rapid.IntRange(20_000, 500_000).Draw(t, "items") // 20 ms and more of the caller
			s := newScale(items, 1, nil)
			var local smooth
			var took float64
			for range 5 {
				var done []int
				took, done = play(t, &s, all, items, &local)
				if i := slices.IndexFunc(done, func(n int) bool { return n != 1 }); i >= 0 {
					t.Fatalf("item %d was done %d times", i, done[i])
				}
			}
			best := optimum(all, float64(items))
			item := 0.0 // of the slowest
			for _, a := range all {
				item = max(item, 1/a.rate)
			}
			if most := best*(1.05+2*noise) + 2*crumb + 2*item; took > most {
				t.Errorf("a step takes %.3g ms, the best there is %.3g ms", 1e3*took, 1e3*best)
			}
		})
	}
}

// Whatever comes, goes, is slow or dies in the middle of a step: every item is done at least once, by those that live
// exactly once, and the caller never takes much longer than without any of them, but for who dies or is slow.
func TestDealerLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawCrews(t, 0.5)
		s := drawScale(t)
		for _, a := range all[1:] {
			if rapid.Bool().Draw(t, "dies") {
				a.dies = rapid.Float64Range(0, 1e-3).Draw(t, "death")
			}
			if rapid.Bool().Draw(t, "stops") { // for this step, it is far slower than it was
				a.pace.ran(1, 1e-9)
				a.pace.answered(0, 1e-9)
			}
		}
		var local smooth
		for range 3 {
			_, done := play(t, &s, all, s.items, &local)
			if i := slices.IndexFunc(done, func(n int) bool { return n != 1 }); i >= 0 {
				t.Fatalf("item %d was done %d times", i, done[i])
			}
		}
	})
}

// Whoever gets something gets it such that all are done at once; shares sum to 1.
func TestShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawCrews(t, 0)
		work := rapid.Float64Range(1, 1e7).Draw(t, "work")
		workers := make([]worker, len(all))
		for i, a := range all {
			workers[i] = worker{rate: a.rate, delay: a.latency}
		}
		shares := make([]float64, len(all))
		share(workers, work, shares)
		sum, end := 0.0, optimum(all, work)
		for i, part := range shares {
			sum += part
			if took := all[i].latency + part*work/all[i].rate; part > 0 && math.Abs(took-end) > 1e-6*end {
				t.Fatalf("%d takes %g s, all %g s", i, took, end)
			}
			if part == 0 && all[i].latency < end*(1-1e-6) {
				t.Fatalf("%d gets nothing, and could begin %g s before the end", i, end-all[i].latency)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("shares sum to %g", sum)
		}
	})
}
