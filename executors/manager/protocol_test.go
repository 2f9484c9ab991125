package manager

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// A client that breaks the protocol loses its connection; the others notice nothing.
func TestBrokenClientsAreRefused(t *testing.T) {
	m := newManager(t, testCores(20, 2))
	good := welcome(t, m)
	good.mustLease(1)
	hello := control.Hello{Protocol: control.Protocol, PID: os.Getpid(), Launcher: os.Getppid()}
	otherProtocol, otherProcess := hello, hello
	otherProtocol.Protocol++
	otherProcess.PID = 1
	for name, broken := range map[string]struct {
		kind string
		body any
		code control.Code
	}{
		"no hello":         {control.TypeLease, request(1, libraryGood), control.CodeInvalid},
		"another protocol": {control.TypeHello, otherProtocol, control.CodeVersion},
		"another process":  {control.TypeHello, otherProcess, control.CodeInvalid},
		"no object":        {control.TypeHello, "hello", control.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, m)
			_, err := c.ask(broken.kind, control.Manager, broken.body, nil)
			wantCode(t, err, broken.code, "")
			<-c.served
		})
	}
	for name, text := range map[string]string{
		"too long": "\xff\xff\xff\xff", "no JSON": "\x00\x00\x00\x02xx", "half a frame": "\x00\x00\x00\x09{",
		"descriptors that did not come": "\x00\x00\x00\x11{\"descriptors\":9}",
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, m)
			_, err := c.conn.Stream().Write([]byte(text))
			check(t, err)
			c.close()
			c = welcome(t, m)
			_, err = c.conn.Stream().Write([]byte(text))
			check(t, err)
			c.close()
		})
	}
	good.must(control.TypeOpen, 0, control.Open{}, &control.Opened{})
}

func TestClosedManagerEndsEverything(t *testing.T) {
	m := newManager(t, testCores(21, 3))
	c := welcome(t, m)
	_, frame := c.mustLease(2)
	silent := connect(t, m)
	m.Close()
	<-c.served
	<-silent.served
	for _, pidfd := range frame.Files {
		waitGone(t, pidfd)
	}
	late := connect(t, m)
	<-late.served
}

// A lease costs no descriptor that is not given back with it.
func TestDescriptorsDoNotLeak(t *testing.T) {
	m := newManager(t, testCores(22, 3))
	cycle := func() {
		c := welcome(t, m)
		_, frame := c.mustLease(1)
		c.must(control.TypeOpen, 0, control.Open{}, &control.Opened{})
		frame.Close()
		c.release()
		c.close()
	}
	cycle()
	before := openDescriptors(t)
	cycles := 200
	if testing.Short() {
		cycles = 20
	}
	for range cycles {
		cycle()
	}
	// The last ones are closed when processes have been reaped.
	for deadline := time.Now().Add(5 * time.Second); openDescriptors(t) > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open after %d leases, %d before", openDescriptors(t), cycles, before)
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

func TestExecutorsAreLimited(t *testing.T) {
	c := welcome(t, newManager(t, testCores(23, 2)))
	granted, _ := c.mustLease(1)
	pid := granted.Executors[0].PID
	adjustment, err := os.ReadFile(procPath(pid, "oom_score_adj"))
	check(t, err)
	if string(adjustment) != "1000\n" {
		t.Errorf("oom_score_adj is %q", adjustment)
	}
	var core unix.Rlimit
	check(t, unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &core))
	if core.Cur != 0 || core.Max != 0 {
		t.Errorf("core files are limited to %+v", core)
	}
	session, err := unix.Getsid(pid)
	if err != nil || session != pid {
		t.Errorf("its session is %d (%v), not its own", session, err)
	}
	command, err := os.ReadFile(procPath(pid, "cmdline"))
	check(t, err)
	if want := "sublet-executor\x00--lease\x00" + granted.Lease + "\x00--index\x00" + strconv.Itoa(0) + "\x00"; string(command) != want {
		t.Errorf("ps shows %q", command)
	}
}

// Two managers of a user never lend one core.
func TestManagersShareNoCore(t *testing.T) {
	cores := testCores(24, 4) // of which this process, as a rank, has one
	a, b := newManager(t, cores), newManager(t, cores)
	first, second := welcome(t, a), welcome(t, b)
	one, _ := first.mustLease(2)
	two, _ := second.mustLease(1)
	taken := map[int]bool{}
	for _, e := range append(one.Executors, two.Executors...) {
		if taken[e.Core] {
			t.Errorf("core %d is lent twice", e.Core)
		}
		taken[e.Core] = true
	}
	second.release()
	_, _, err := second.lease(request(2, libraryGood))
	wantCode(t, err, control.CodeNoCapacity, "used by "+foreignUser)
	first.release()
	second.mustLease(2)
}

func TestRankGivesItsCoreBack(t *testing.T) {
	m := newManager(t, testCores(25, 2))
	p, _ := start(t, roleWait, "")
	m.capacity.noteRanks(t.Context(), p.Process.Pid, os.Getpid(), 1)
	if n := m.capacity.lendable(); n != 1 {
		t.Errorf("%d cores can be lent beside a rank, want 1", n)
	}
	check(t, p.Process.Kill())
	p.waitExit(t, patience)
	for deadline := time.Now().Add(patience); m.capacity.lendable() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the core of a rank that has ended is not free")
		}
	}
}
