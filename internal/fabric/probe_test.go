package fabric_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

const probed = 2 * fabric.EagerSize

// Who tries a connection leaves the core while no answer comes: the executor may need it.
func TestProbeLeavesItsCore(t *testing.T) {
	overEach(t, transports, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
		memory := p.region(fabric.Buffers, probed).payload(0, probed)
		check(t, p.client.CallProbe(memory, 8, func() error { return nil }))
		check(t, p.command.Process.Signal(syscall.SIGSTOP))
		check(t, unix.Waitid(unix.P_PID, p.command.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)) // all its threads are
		enough := errors.New("enough")
		start, looks := time.Now(), 0
		err := p.client.CallProbe(memory, 8, func() error {
			if looks++; time.Since(start) > 300*time.Millisecond {
				return enough
			}
			return nil
		})
		waited := time.Since(start)
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		const spinning = 30 // looks, at most, before the first rest
		if rests := time.Duration(looks-spinning) * fabric.ProbeRest; looks < 2 || rests > waited {
			t.Errorf("%d looks in %v: between them were no rests of %v", looks, waited, fabric.ProbeRest)
		}
	})
}

// An answer that has come counts, however late it is looked for.
func TestProbeLooksOnceMore(t *testing.T) {
	overEach(t, []transport{transports[0], ofi, shm}, func(t *testing.T, transport transport) {
		p := startPeer(t, transport, peerOptions{slots: 8, hot: 0})
		memory := p.region(fabric.Buffers, probed).payload(0, probed)
		check(t, p.client.CallProbe(memory, 8, func() error {
			for deadline := time.Now().Add(patience); p.page.Read().RunningID < p.client.Submitted() && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			p.waitForState(statspage.Warm) // the response is on its way
			return errors.New("too late")
		}))
	})
}

// A turn during which nobody looked is not held against an executor.
func TestProbePatience(t *testing.T) {
	if left := fabric.PatienceLeft(time.Millisecond, time.Hour, 20*time.Millisecond); left < 7*time.Second || left >= 8*time.Second {
		t.Errorf("after an hour of absence %v are left", left)
	}
	many := make([]time.Duration, 100)
	for i := range many {
		many[i] = 90 * time.Millisecond
	}
	if left := fabric.PatienceLeft(many...); left > 0 {
		t.Errorf("after 9 s of looking %v are left", left)
	}
}

// An executor tells what its loop does, beside the loop.
func TestLoopIsSeen(t *testing.T) {
	p := startPeer(t, ofi, peerOptions{slots: 8, hot: 0})
	memory := p.region(fabric.Buffers, probed).payload(0, probed)
	check(t, p.client.CallProbe(memory, 8, func() error { return nil }))
	p.waitForState(statspage.Warm)
	var progress control.Progress
	p.call(control.TypeProgress, nil, &progress)
	if progress.Begun != 1 || !strings.HasPrefix(progress.Loop, "its loop sleeps until one comes, has slept ") {
		t.Errorf("%+v", progress)
	}
}
