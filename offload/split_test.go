package offload

import (
	"slices"
	"testing"
	"time"
)

// here makes an executor that nobody sends anything one that could be sent something, or one that has gone.
func here(e *Executor, is bool) {
	e.coming = false
	e.current.Store(nil)
	if is {
		e.current.Store(&connection{})
	}
}

// afterStep has a resident split learn from a step in which all did their items, a microsecond each, but for who has gone.
func afterStep(s *Split) {
	s.mode = together
	s.stepWork = float64(s.plan.Items)
	s.assign(s.plan.Items)
	s.computed, s.remote = effort{}, 0
	for _, span := range s.ownSpans {
		s.computed.work += float64(span.Len())
		s.computed.seconds += 1e-6 * float64(span.Len())
	}
	for i := range s.crews {
		c := &s.crews[i]
		for _, part := range c.queue {
			work := float64(part.Hi - part.Lo)
			if c.executor.usable() == nil {
				s.computed.work += work
				s.computed.seconds += 1e-6 * work
				continue
			}
			c.given = true
			c.pace.ran(work, 1e-6*work)
			c.pace.answered(0, 1e-6)
			s.remote += work
		}
		c.queue = c.queue[:0]
	}
	s.steps++
	s.conclude(1e-3)
	for i := range s.crews {
		s.crews[i].given, s.crews[i].tried = false, false
	}
}

// Who has gone and is not replaced gets no items any more; when it comes back it gets some again.
func TestResidentGone(t *testing.T) {
	lease := &Lease{}
	for i := range 2 {
		e := &Executor{lease: lease, index: i}
		here(e, true)
		lease.executors = append(lease.executors, e)
	}
	s, err := (*Session)(nil).Split(t.Context(), Plan{Items: 3000, Share: Auto, Resident: true, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	has := func(i int) int { return s.current[i+1] - s.current[i] }
	for range 20 {
		afterStep(s)
	}
	if has(0) < 800 || has(1) < 800 {
		t.Fatalf("boundaries %v of three that are equally fast", s.current)
	}
	here(lease.executors[0], false)
	s.crews[0].pace = pace{}
	for range unhurriedSteps {
		afterStep(s)
	}
	if has(0) != 0 || has(1) < 1000 {
		t.Fatalf("boundaries %v, and the first executor has gone", s.current)
	}
	here(lease.executors[0], true)
	for range 4 * firstPause {
		afterStep(s)
	}
	if has(0) < 800 || has(1) < 800 {
		t.Fatalf("boundaries %v, and all are there again", s.current)
	}

	// Who is about to be replaced keeps what it has.
	kept := slices.Clone(s.current)
	here(lease.executors[0], false)
	lease.executors[0].coming = true
	for range 2 * unhurriedSteps {
		s.crews[0].pace = pace{}
		afterStep(s)
	}
	if time.Since(s.epoch) < leastPatience/2 && !slices.Equal(s.current, kept) {
		t.Errorf("boundaries %v, and %v before an executor was lost", s.current, kept)
	}
}

// What is lost with an executor says nothing of when its replacement can begin.
func TestLostIsForgotten(t *testing.T) {
	lease := &Lease{executors: []*Executor{{index: 0}}}
	s, err := (*Session)(nil).Split(t.Context(), Plan{Items: 10, Share: Auto, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	s.dealer.begin(10, s.shares, s.limits)
	c := &s.crews[0]
	c.until = s.now() + 1000
	s.lose(c, attempt{part: s.partsOf(0, s.dealer.take(0), nil)[0], sent: 1})
	if wait := c.until - s.now(); wait > 0 || s.dealer.items != 10 {
		t.Errorf("a lost executor is reckoned with in %g s; %d of 10 items are left", wait, s.dealer.items)
	}
}

// Where a step is more work than those before, executors may take as much longer as the caller.
func TestSlower(t *testing.T) {
	var s Split
	if s.slower() != 1 {
		t.Error("nothing is known")
	}
	s.local.add(1e-6)
	s.computed = effort{work: 100, seconds: 50e-4}
	if got := s.slower(); got < 49 || got > 51 {
		t.Errorf("items take 50 times as long as usual, not %g", got)
	}
	s.computed.seconds = 50e-6
	if got := s.slower(); got != 1 {
		t.Errorf("items that take half as long are no reason for %g times the patience", got)
	}
}

// A part is taken back when it takes much longer than usual, but not for time in which the caller could not look either.
func TestPatience(t *testing.T) {
	lease := &Lease{executors: []*Executor{{index: 0}}}
	s, err := (*Session)(nil).Split(t.Context(), Plan{Items: 10, Share: Auto, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	s.epoch = s.epoch.Add(-time.Hour)
	c := &s.crews[0]
	for range 3 {
		c.pace.ran(1, 1e-3)
	}
	const late = 5
	c.sent = append(c.sent, attempt{work: 1, at: s.now() - late})
	takenBack := func() bool {
		c.sent[0].called = false
		s.callBack(s.now())
		return c.sent[0].called
	}
	if !takenBack() {
		t.Errorf("a part that takes %d s and not a millisecond is not taken back", late)
	}
	if s.look(s.now()-hiccup/100, hiccup); !takenBack() {
		t.Error("it is not taken back if the caller looks all the time")
	}
	if s.look(s.now()-late, hiccup); takenBack() {
		t.Error("it is taken back at once when the caller has stood still as long")
	}
}
