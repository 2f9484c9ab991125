package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/jacobi/report"
	"github.com/sublet-hpc/sublet/internal/endurance"
)

// long is a run of half a second or, in full, a second or so, whose solution is verified, which takes a time of the size's third power.
func long() []string {
	return []string{"--size", strconv.Itoa(endurance.Count(1000, 1400)), "--iterations", "1500", "--verify", "--report", "json"}
}

// promisedDelay is how much longer a run may take that loses an executor or the helper.
const promisedDelay = 2 * time.Second

// kills has runs of the solver lose a process each, at a random moment of their iterations, until
// that has happened as often as it should.
type kills struct {
	t       *testing.T
	program string
	// How long the iterations of a run take that nobody disturbs.
	undisturbed *endurance.Times
	// The shortest of them. On a machine that is busy one may take ten times as long as the next, which
	// would have ended before a kill at a moment of the other.
	shortest time.Duration
	delays   *endurance.Times
	missed   int // runs that had computed their last row before
	lost     int // executors
}

// measure runs the solver undisturbed.
func (k *kills) measure(times int) {
	k.t.Helper()
	for range times {
		j := startJob(k.t, 1, 1, long()...)
		r := j.report()
		k.undisturbed.Add(seconds(r.Seconds))
		k.shorten(r)
		if r.Lost != 0 || r.Verified == nil || !*r.Verified {
			k.t.Fatalf("undisturbed: %+v\n%s", r, &j.stderr)
		}
		j.expectNoTraces()
	}
}

// shorten notes how long a run took that nobody disturbed.
func (k *kills) shorten(r report.Report) {
	if took := seconds(r.Seconds); k.shortest == 0 || took < k.shortest {
		k.shortest = took
	}
}

// kill has one run lose the process, and looks at what it says.
func (k *kills) kill(says string) {
	k.t.Helper()
	j := startJob(k.t, 1, 1, long()...)
	time.Sleep(time.Duration(rand.Int64N(int64(k.shortest * 3 / 4))))
	j.kill(k.program)
	r := j.report()
	j.expectNoTraces()
	if r.Verified == nil || !*r.Verified {
		k.t.Errorf("after a kill: %+v\n%s", r, &j.stderr)
	}
	if r.Lost == 0 {
		k.missed++
		k.shorten(r)
		return
	}
	k.lost += r.Lost
	k.delays.Add(max(0, seconds(r.Seconds)-k.undisturbed.Median()))
	if said := j.stderr.String(); !strings.Contains(said, says) {
		k.t.Errorf("it says %q", said)
	}
}

// endure is the test of both kinds.
func endure(t *testing.T, program, says string) {
	k := &kills{t: t, program: program, undisturbed: endurance.Watch(), delays: endurance.Watch()}
	k.measure(endurance.Count(2, 5))
	wanted := endurance.Count(5, 50)
	for k.delays.Len() < wanted && k.missed <= 2*wanted && !t.Failed() {
		k.kill(says)
	}
	endurance.Report(t, "%d kills (%d more came too late), all answers right, %d executors lost; delay over an undisturbed run: %v (an undisturbed one: %v)",
		k.delays.Len(), k.missed, k.lost, k.delays, k.undisturbed)
	if k.delays.Len() < wanted {
		t.Errorf("only %d of %d runs lost an executor", k.delays.Len(), k.delays.Len()+k.missed)
	}
	k.delays.Within(t, promisedDelay)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Executors that are killed at any moment are replaced, and the solution is right.
func TestEnduranceExecutorsAreKilled(t *testing.T) {
	endure(t, "sublet-executor", " was lost: ended by signal 9 (SIGKILL)")
}

// With the helper its executors end as well. The ranks compute on, with executors of another helper.
func TestEnduranceHelperIsKilled(t *testing.T) {
	endure(t, "sublet", " was lost: it went away together with its executor manager")
}
