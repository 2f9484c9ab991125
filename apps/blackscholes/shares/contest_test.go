package shares

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// way is how much of each step is offloaded, and what became of that.
type way struct {
	name   string
	split  *offload.Split
	times  []time.Duration // of its steps
	shares []float64       // that executors did of them
}

// newWay divides a book by a share.
func newWay(t *testing.T, s *offload.Session, l *offload.Lease, b *book, share float64) *way {
	t.Helper()
	w := &way{name: "auto"}
	if share != offload.Auto {
		w.name = fmt.Sprintf("%.3g %%", 100*share)
	}
	var err error
	w.split, err = s.Split(within(t), offload.Plan{Items: b.items(), Share: share, Lease: l, Say: func(text string) { t.Log(text) }})
	check(t, err)
	t.Cleanup(func() { check(t, w.split.Close()) })
	return w
}

// step prices all options once.
func (w *way) step(t *testing.T, b *book) time.Duration {
	t.Helper()
	began := time.Now()
	err := w.split.Step(context.Background(), b.work())
	took := time.Since(began)
	check(t, err)
	return took
}

// checked is a step whose prices are compared.
func (w *way) checked(t *testing.T, b *book) time.Duration {
	t.Helper()
	b.forget()
	took := w.step(t, b)
	b.compare(t, w.name)
	return took
}

// each is how many rounds there are to one whose prices are compared, which costs it what is in the caches.
const each = 8

// takeTurns has the ways do a step each, and again, some rounds at least and for some time: in any order, so that what disturbs the
// machine, and what a step leaves in the caches, is met by all of them alike.
func takeTurns(t *testing.T, b *book, ways []*way, rounds int, lasts time.Duration) {
	t.Helper()
	order := rand.New(rand.NewPCG(1, 2))
	until := time.Now().Add(lasts)
	for round := 0; round < rounds || time.Now().Before(until); round++ {
		for _, i := range order.Perm(len(ways)) {
			w := ways[i]
			if round%each == 0 {
				w.checked(t, b)
				continue
			}
			w.times = append(w.times, w.step(t, b))
			w.shares = append(w.shares, w.split.Report().Share)
		}
	}
	for _, w := range ways {
		w.checked(t, b)
	}
}

func (w *way) median() time.Duration { return median(w.times) }

func (w *way) share() float64 { return median(w.shares) }

func median[T time.Duration | float64](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
