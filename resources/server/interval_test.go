package server

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Few managers report each second; many so often that there are a hundred reports a second. A lease outlasts the
// silence of its manager, and a longer interval never means a shorter time.
func TestIntervals(t *testing.T) {
	for managers, want := range map[int]time.Duration{0: Interval, 1: Interval, 100: Interval, 101: 1010 * time.Millisecond, 1000: 10 * time.Second, 5000: 50 * time.Second} {
		if got := intervalFor(managers); got != want {
			t.Errorf("%d managers report every %v, not every %v", managers, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		managers := rapid.IntRange(0, 100_000).Draw(t, "managers")
		interval, next := intervalFor(managers), intervalFor(managers+1)
		if perSecond := float64(managers) / interval.Seconds(); perSecond > beatsPerSecond+0.001 {
			t.Errorf("%d managers report %.1f times a second", managers, perSecond)
		}
		if next < interval || lasting(next) < lasting(interval) || lasting(interval) < TTL || lasting(interval) < silence(interval)+interval {
			t.Errorf("%d managers: an interval of %v, and then %v; leases last %v", managers, interval, next, lasting(interval))
		}
	})
}

// With many nodes their managers are told to report less often, have as much more time, and so have their leases;
// when there are few again, those that have not heard of that keep the time that they were told.
func TestManyNodesReportLessOften(t *testing.T) {
	const many = 1000
	b := testBook(t)
	for i := range many {
		register(t, b, noon, registration(fmt.Sprint("n", i), "i", 0))
	}
	lease := granted(t, b, noon, 1)
	its := lease.Executors[0].Node
	reply := beat(t, b, its, "i", 1, noon, held(lease, its))
	if reply.Interval != 10*time.Second {
		t.Errorf("one of %d managers is to report every %v", many, reply.Interval)
	}
	node, err := b.node(its, noon.Add(15*time.Second))
	check(t, err)
	if node.Interval != reply.Interval || node.State != api.NodeLending {
		t.Errorf("after 15 s it is %s, and reports every %v", node.State, node.Interval)
	}
	for i := range many { // all others were told when they registered, among fewer
		if name := fmt.Sprint("n", i); name != its {
			check(t, b.deregister(name, "i", noon))
		}
	}
	at := noon.Add(30 * time.Second)
	b.tick(at)
	if len(b.nodes("", at)) != 1 || len(b.leases()) != 1 {
		t.Errorf("after 30 s there are %+v and %+v", b.nodes("", at), b.leases())
	}
	if reply := beat(t, b, its, "i", 2, at, held(lease, its)); reply.Interval != Interval {
		t.Errorf("the only manager is to report every %v", reply.Interval)
	}
	at = at.Add(Silence + time.Millisecond)
	b.tick(at)
	if len(b.nodes("", at)) != 0 || len(b.leases()) != 0 {
		t.Errorf("after %v of silence there are %+v and %+v", Silence, b.nodes("", at), b.leases())
	}
}
