package manager

import (
	"encoding/binary"
	"math"
	"math/big"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/internal/statspage"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Memory counts by the clock that it is told, from admission to end, and by what is left of it when
// executors are lost; for a day of a terabyte as for a nanosecond of a byte.
func TestMeterOfMemory(t *testing.T) {
	began := time.Now()
	for _, c := range []struct {
		memory  int64
		lasting time.Duration
		want    api.Uint128
	}{
		{1, 1, api.Uint128Of(1)},
		{1 << 30, time.Millisecond, api.Product(1<<30, 1e6)},
		{1 << 40, 24 * time.Hour, api.Product(1<<40, 86400e9)},
		{0, time.Hour, api.Uint128{}},
	} {
		m := newMeter(c.memory, began)
		m.read(began.Add(c.lasting / 3)) // looking changes nothing
		m.end(began.Add(c.lasting))
		m.end(began.Add(2 * c.lasting)) // nor does a second end
		usage, from, to := m.read(began.Add(time.Hour * 1000))
		if usage.Allocated != c.want || !from.Equal(began) || to.Sub(from) != c.lasting {
			t.Errorf("%d bytes for %v: %v, from %v to %v", c.memory, c.lasting, usage.Allocated, from, to)
		}
	}
	m := newMeter(300, began)
	m.hold(200, began.Add(time.Second))
	m.hold(0, began.Add(3*time.Second))
	m.end(began.Add(time.Minute))
	if usage, _, _ := m.read(began); usage.Allocated != api.Uint128Of(700e9) {
		t.Errorf("300 for a second and 200 for two are %v", usage.Allocated)
	}
	var none *meter // of a lease that nobody bills
	none.hold(1, began)
	none.end(began)
}

// Of the kernel's time an executor claims a part; it can not claim more than there is, and what it claims
// as spinning is it unless it claims too much.
func TestSpinningIsCapped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(0, 1<<62).Draw(t, "total")
		computing := rapid.OneOf(rapid.Uint64Range(0, 1<<62), rapid.Uint64Range(0, 1000)).Draw(t, "computing")
		spinning := rapid.OneOf(rapid.Uint64Range(0, 1<<62), rapid.Uint64Range(0, 1000)).Draw(t, "spinning")
		got := spinningOf(total, computing, spinning)
		if got > total || got > spinning {
			t.Fatalf("%d of %d were spinning, claimed were %d", got, total, spinning)
		}
		if computing+spinning <= total && got != spinning {
			t.Fatalf("%d, and %d were claimed, which is no more than there was", got, spinning)
		}
		if claims := computing + spinning; claims > total {
			share := new(big.Int).Mul(new(big.Int).SetUint64(total), new(big.Int).SetUint64(spinning))
			if share.Quo(share, new(big.Int).SetUint64(claims)); share.Cmp(new(big.Int).SetUint64(got)) != 0 {
				t.Fatalf("%d, not %v", got, share)
			}
		}
	})
	for _, c := range []struct{ ticks, perSecond, want uint64 }{
		{0, 0, 0}, {5, 0, 0}, {1 << 63, 1, 1 << 62}, {3_000_000_000, 3_000_000_000, 1e9}, {1 << 60, 1 << 32, 1 << 28 * 1e9},
	} {
		if got := nanoseconds(c.ticks, c.perSecond); got != c.want {
			t.Errorf("%d ticks of %d a second: %d ns, not %d", c.ticks, c.perSecond, got, c.want)
		}
	}
}

// What a lease has used stays in reports until one was answered; what its processes have used is there also
// when they are killed.
func TestUsedIsReportedUntilAnswered(t *testing.T) {
	tickets := newTickets(7, func() {})
	tickets.node = "n"
	m := newManager(t, testCores(120, 2))
	m.tickets = tickets
	tickets.node, tickets.uid = m.node.Name, m.node.UID
	ticket := api.Ticket{
		Lease: "l", Node: m.node.Name, UID: m.node.UID, User: "ann", Account: "astro", Granted: time.Now(), Expires: time.Now().Add(time.Hour),
		Executors: []api.Placed{{Executor: api.Executor{Node: m.node.Name, Core: m.node.Cores[0], Memory: 64 << 20}}},
	}
	began := time.Now()
	l := &lease{manager: m, ticket: &ticket}
	tickets.held["l"] = &heldTicket{Ticket: ticket}
	record, err := l.take()
	check(t, err)
	i, err := m.spawn(&Command{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}, CPUs: m.cpus, Output: os.Stderr})
	check(t, err)
	l.count(i)
	process := i.process
	until := time.Now().Add(patience)
	for process.CPUTime() < 50*time.Millisecond && time.Now().Before(until) {
		time.Sleep(time.Millisecond)
	}
	used := process.CPUTime()
	_, _, now := tickets.report(time.Now())
	if len(now) != 1 || now[0].Account != "astro" || !now[0].Ended.IsZero() || now[0].Computing.Lo < uint64(used) || now[0].Spinning.Lo != 0 {
		t.Fatalf("while it lasts %+v, %v were used", now, used)
	}
	i.end()
	last := process.CPUTime()
	l.meter.end(time.Now())
	m.capacity.release(record.ID)
	tickets.over("l")
	for range 2 {
		_, ended, now := tickets.report(time.Now())
		if len(ended) != 1 || len(now) != 1 || now[0].Ended.IsZero() || now[0].Computing.Lo != uint64(last) || last < used {
			t.Fatalf("when it is over %v %+v; the process had used %v", ended, now, last)
		}
		if most := api.Product(64<<20, uint64(time.Since(began))); most.Less(now[0].Allocated) || now[0].Allocated.IsZero() {
			t.Errorf("%v were allocated", now[0].Allocated)
		}
	}
	tickets.reported([]string{"l"}, time.Now())
	if _, _, now := tickets.report(time.Now()); len(now) != 0 {
		t.Errorf("what was answered is said again: %+v", now)
	}
}

// An executor that has used more than time has passed has done so in several threads, of which one spins: what it says
// beyond that it has computed. What it says later does not make up for that.
func TestNoMoreIsSpunThanTimePasses(t *testing.T) {
	m := newManager(t, testCores(121, 1))
	i, err := m.spawn(&Command{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}, CPUs: m.cpus, Output: os.Stderr})
	check(t, err)
	t.Cleanup(i.end)
	page, file, err := statspage.New()
	check(t, err)
	defer file.Close()
	i.page.Close()
	i.page = page
	claims := make([]byte, 24)
	binary.NativeEndian.PutUint64(claims[8:], math.MaxUint64) // spinning
	binary.NativeEndian.PutUint64(claims[16:], 1)
	_, err = file.WriteAt(claims, statspage.OffsetComputeTicks)
	check(t, err)
	const used = 300 * time.Millisecond
	for until := time.Now().Add(patience); i.process.CPUTime() < used && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	meter := newMeter(0, time.Now())
	began := time.Now()
	meter.start(i) // it is no spare, so that all is the lease's
	for range 3 {
		usage, _, _ := meter.read(time.Now())
		passed := time.Since(began)
		spun, computed := time.Duration(usage.Spinning.Lo), time.Duration(usage.Computing.Lo)
		if spun > passed || spun == 0 || spun+computed < used {
			t.Errorf("%v were spun within %v, and %v computed; %v were used before", spun, passed, computed, used)
		}
	}
}
