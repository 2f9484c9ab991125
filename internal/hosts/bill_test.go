package hosts_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// gib is what each executor of these tests has.
const gib = 1 << 30

// bill is what the resource manager says of an account.
func bill(t *testing.T, c *hosts.Cluster, account string) (api.AccountBill, bool) {
	t.Helper()
	bill, err := c.Client(t).Bill(within(t), account, time.Time{})
	if errors.Is(err, api.ErrUnknownAccount) {
		return api.AccountBill{}, false
	}
	check(t, err)
	return bill.Accounts[0], true
}

// seconds is a bill's decimal.
func seconds(t *testing.T, decimal string) float64 {
	t.Helper()
	value, ok := new(big.Rat).SetString(decimal)
	if !ok {
		t.Fatalf("%q is not a decimal", decimal)
	}
	f, _ := value.Float64()
	return f
}

// billLines are those of the run directory's file.
func billLines(t *testing.T, dir string) (lines []api.BillLine) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "bill.jsonl"))
	check(t, err)
	text = text[:bytes.LastIndexByte(text, '\n')+1] // what is behind is just being written
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		var line api.BillLine
		check(t, json.Unmarshal(scan.Bytes(), &line))
		lines = append(lines, line)
	}
	return lines
}

// ended waits for the line of an account's only lease.
func ended(t *testing.T, c *hosts.Cluster, account string) (its api.BillLine) {
	t.Helper()
	hosts.Eventually(t, "the line of account "+account, func() bool {
		for _, line := range billLines(t, c.Dir) {
			if line.Account == account && !line.Ended.IsZero() {
				its = line
				return true
			}
		}
		return false
	})
	return its
}

func account(name string, hot time.Duration) offload.Want {
	return offload.Want{Executors: 1, Library: library, Memory: gib, Account: name, HotTimeout: hot, Wait: patience}
}

// burn has an executor use so much CPU time.
func burn(t *testing.T, s *offload.Session, e *offload.Executor, time time.Duration) offload.Future {
	t.Helper()
	in := offload.Alloc[uint32](s, 1)
	in.Slice()[0] = uint32(time.Milliseconds())
	return e.Invoke(within(t), "burn", in, nil)
}

// cpuTime is the kernel's count of a process.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	var used unix.Timespec
	check(t, unix.ClockGettime(^int32(pid)<<3|2, &used))
	return time.Duration(used.Nano())
}

// checkAllocated compares what was allocated with the time between admission and end by the manager's clock,
// which the client has seen from inside and outside.
func checkAllocated(t *testing.T, line api.BillLine, inside, outside time.Duration) {
	t.Helper()
	lasted := new(big.Int).Quo(line.Allocated.Big(), big.NewInt(gib))
	rest := new(big.Int).Mod(line.Allocated.Big(), big.NewInt(gib))
	clock := line.Ended.Sub(line.Began)
	if off := time.Duration(lasted.Int64()) - clock; rest.Sign() != 0 || off.Abs() > clock/100+time.Millisecond { // the wall's clock may be set meanwhile
		t.Errorf("%v of 1 GiB are %v, with a rest of %v; by its manager's clock the lease lasted %v", line.Allocated, time.Duration(lasted.Int64()), rest, clock)
	}
	if is := time.Duration(lasted.Int64()); is < inside || is > outside {
		t.Errorf("it was billed for %v, and lasted for %v at least and %v at most", is, inside, outside)
	}
}

// Memory is billed for as long as a lease has it, be that a moment or seconds; CPU time as the kernel counts
// it, and what an executor spins apart from what it computes.
func TestBillOfLeases(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1", "--pool", "0")
	s := session(t)
	for _, x := range []struct {
		account         string
		hot, burn, idle time.Duration
	}{
		{"moment", offload.NeverHot, 0, 0},
		{"warm", offload.NeverHot, 300 * time.Millisecond, time.Second},
		{"hot", offload.AlwaysHot, 300 * time.Millisecond, time.Second},
	} {
		before := time.Now()
		l, err := s.Lease(within(t), account(x.account, x.hot))
		check(t, err)
		admitted, e := time.Now(), l.Executors()[0]
		if x.burn > 0 {
			_, err = burn(t, s, e, x.burn).Wait(within(t))
			check(t, err)
		}
		<-time.After(x.idle)
		used, releasing := cpuTime(t, e.PID()), time.Now()
		check(t, l.Release())
		after := time.Now()
		line := ended(t, c, x.account)
		checkAllocated(t, line, releasing.Sub(admitted), after.Sub(before))
		computing, spinning := time.Duration(line.Computing.Lo), time.Duration(line.Spinning.Lo)
		t.Logf("%s: computing %v, spinning %v; of the process %v before its end", x.account, computing, spinning, used)
		if total := computing + spinning; total > used+2*after.Sub(releasing)+10*time.Millisecond { // it went on until its end, in two threads at most
			t.Errorf("%s: %v were billed, and the process had used %v", x.account, total, used)
		}
		if computing < x.burn {
			t.Errorf("%s: %v of computing were billed, and functions used %v", x.account, computing, x.burn)
		}
		switch x.account {
		case "hot": // a machine that is busy may give it little
			if spinning < x.idle/20 || computing+spinning < used-10*time.Millisecond {
				t.Errorf("it was hot for %v and used %v; billed were %v spinning and %v computing", x.idle, used, spinning, computing)
			}
		default:
			if spinning > 100*time.Millisecond {
				t.Errorf("%s: it never spun for long, and %v were billed", x.account, spinning)
			}
		}
		now, _ := bill(t, c, x.account)
		if now.ComputingSeconds != line.Computing.Decimal(9) || now.SpinningSeconds != line.Spinning.Decimal(9) || now.GBSeconds != line.Allocated.Decimal(18) {
			t.Errorf("the account's bill is %+v, the line %+v", now, line)
		}
	}
}

// What an executor of the pool has used before the lease took it is nobody's.
func TestBillWithoutSparesPast(t *testing.T) {
	c := newCluster(t)
	manager := c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1", "--pool", "1")
	hosts.Eventually(t, "a spare", func() bool { return strings.Contains(manager.Logged(), "a spare executor is ready") })
	l, err := session(t).Lease(within(t), account("spare", offload.NeverHot))
	check(t, err)
	used := cpuTime(t, l.Executors()[0].PID())
	check(t, l.Release())
	line := ended(t, c, "spare")
	if billed := time.Duration(line.Computing.Lo + line.Spinning.Lo); billed > used/2 {
		t.Errorf("%v were billed of %v, which was nearly all spent on its start", billed, used)
	}
}

// A function that is killed while it computes has used what the kernel says; its replacement is the lease's
// as well. A lease that ends while the resource manager is away is billed when that is back.
func TestBillAfterKills(t *testing.T) {
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1", "--pool", "0")
	s := session(t)
	l, err := s.Lease(within(t), account("killed", offload.NeverHot))
	check(t, err)
	e := l.Executors()[0]
	first := burn(t, s, e, time.Hour)
	var used time.Duration
	pid := e.PID()
	hosts.Eventually(t, "some CPU time", func() bool { used = cpuTime(t, pid); return used > 400*time.Millisecond })
	check(t, syscall.Kill(pid, syscall.SIGKILL))
	hosts.Eventually(t, "a replacement", func() bool { return e.Ready() && e.PID() != pid })
	var lost *offload.ExecutorLost
	if _, err := first.Wait(within(t)); !errors.As(err, &lost) {
		t.Errorf("a killed executor's call: %v", err)
	}
	future, second := burn(t, s, e, time.Hour), e.PID()
	hosts.Eventually(t, "the second run", func() bool { return cpuTime(t, second) > 400*time.Millisecond })

	// While it lasts, the bill is that of the last report.
	hosts.Eventually(t, "a bill of a lease that lasts", func() bool {
		now, is := bill(t, c, "killed")
		return is && seconds(t, now.ComputingSeconds) > used.Seconds()+0.4
	})
	c.Manager.End(t, syscall.SIGKILL)
	used += cpuTime(t, second)
	check(t, l.Release())
	_, _ = future.Wait(within(t))
	c.Open(t)
	line := ended(t, c, "killed")
	// A little of it is spinning: an executor looks for a moment before it sleeps, longer where it is preempted in that moment.
	if billed := time.Duration(line.Computing.Lo + line.Spinning.Lo); billed < used {
		t.Errorf("%v were billed, and both processes had used %v", billed, used)
	}
	if line.Lost || line.Ended.IsZero() {
		t.Errorf("%+v", line)
	}
	if now, _ := bill(t, c, "killed"); now.ComputingSeconds != line.Computing.Decimal(9) {
		t.Errorf("the account's bill is %+v, the line %+v", now, line)
	}
}

// A manager that is killed has its leases billed up to its last report; one that ends, to the end.
func TestBillOfManagersThatEnd(t *testing.T) {
	c := newCluster(t)
	h := hosts.New(t)
	for i, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		name := []string{"ended", "killed"}[i]
		manager := c.Lend(t, h, "--name", "n", "--cores", "1", "--pool", "0")
		s := session(t)
		l, err := s.Lease(within(t), account(name, offload.NeverHot))
		check(t, err)
		e := l.Executors()[0]
		_, err = burn(t, s, e, 400*time.Millisecond).Wait(within(t))
		check(t, err)
		if signal == syscall.SIGKILL {
			hosts.Eventually(t, "a report", func() bool {
				now, is := bill(t, c, name)
				return is && seconds(t, now.ComputingSeconds) >= 0.4
			})
		}
		manager.End(t, signal)
		check(t, s.Close())
		if signal == syscall.SIGTERM {
			if line := ended(t, c, name); line.Computing.Lo < 400e6 {
				t.Errorf("%+v", line)
			}
			continue
		}
		// Another process that lends the node says that this lease is over.
		c.Lend(t, h, "--name", "n", "--cores", "1", "--pool", "0")
		hosts.Eventually(t, "the last line", func() bool {
			for _, line := range billLines(t, c.Dir) {
				if line.Account == name {
					return line.Lost && line.Computing.Lo >= 400e6
				}
			}
			return false
		})
	}
}

// A function has its executor's rights, and can write what that says of itself. It can not change that all is billed that the
// kernel has counted, of children that it has waited for as well, nor for how long its memory was its own.
func TestFunctionCanNotRewriteItsBill(t *testing.T) {
	const each = 300 * time.Millisecond
	c := newCluster(t)
	c.Lend(t, hosts.New(t), "--name", "n", "--cores", "1", "--pool", "0")
	s := session(t)
	before := time.Now()
	l, err := s.Lease(within(t), account("hostile", offload.NeverHot))
	check(t, err)
	admitted, e := time.Now(), l.Executors()[0]
	in, out := offload.Alloc[uint32](s, 1), offload.Alloc[byte](s, 1)
	in.Slice()[0] = uint32(each.Milliseconds())
	n, err := e.Invoke(within(t), "launder", in, out).Wait(within(t))
	check(t, err)
	if n != 1 || out.Slice()[0] != 1 {
		t.Fatalf("the function was not as hostile as it should be: %d bytes, %v", n, out.Slice())
	}
	used, releasing := cpuTime(t, e.PID()), time.Now()
	check(t, l.Release())
	line := ended(t, c, "hostile")
	checkAllocated(t, line, releasing.Sub(admitted), time.Since(before))
	total := time.Duration(line.Computing.Lo + line.Spinning.Lo)
	if most := used + each + 2*time.Since(releasing) + each/10; used < each || total < used+each || total > most {
		t.Errorf("%v were billed; the process had used %v, and its child %v", total, used, each)
	}
	if spun := time.Duration(line.Spinning.Lo); spun > line.Ended.Sub(line.Began) {
		t.Errorf("it says that it spun, and %v of that were billed for a lease of %v", spun, line.Ended.Sub(line.Began))
	}
}
