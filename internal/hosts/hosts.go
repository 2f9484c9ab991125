// Package hosts makes hosts of network namespaces, for tests: each has an address of its own, an
// empty list of abstract sockets, and nothing else on its network. It needs root, or a kernel that
// gives users namespaces of their own, and iproute2.
//
//	func TestMain(m *testing.M) { os.Exit(hosts.Main(m.Run)) }
//
//	func TestSomething(t *testing.T) {
//		h := hosts.New(t)
//		h.Command("program").Start()   // reaches hosts.Address, and is reached at h.Address
//	}
//
// A [Cluster] is a resource manager on the test's host, to which others lend their cores.
package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Address is that of the test's own host, as the others reach it, and Address6 the one of IPv6, which it has once
// another host has one (Host.Six).
const (
	Address  = "10.77.0.1"
	Address6 = "fd77::1"
)

// marker is set in the process that has namespaces of its own; it says what the process is for.
const marker = "SUBLET_TEST_HOST"

// Main runs the tests of a package on a host of their own, in a second process.
func Main(tests func() int) int {
	if _, err := exec.LookPath("ip"); err != nil {
		fmt.Fprintln(os.Stderr, "hosts: these tests make network namespaces with the command ip of iproute2, which is missing: run make deps")
		return 1
	}
	return runApart(tests, "ip link set lo up", "ip addr add "+Address+"/32 dev lo")
}

// Apart is Main for tests that need a host of their own only in that no other program of this user has its cores: they
// reach no other hosts, and run on this one where no namespace can be had. An ordinary user's do, so that root's rights
// are not theirs.
func Apart(tests func() int) int {
	if os.Getenv(marker) == "" && !canBeApart() {
		return tests()
	}
	return runApart(tests, "ip link set lo up")
}

func canBeApart() bool {
	trial := exec.Command("ip", "link", "set", "lo", "up")
	trial.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return os.Getuid() == 0 && trial.Run() == nil
}

// runApart runs the tests in a second process, on a host that is made by those commands.
func runApart(tests func() int, commands ...string) int {
	switch os.Getenv(marker) {
	case "hold": // keeps a namespace until the test has gone
		_, _ = os.Stdin.Read(make([]byte, 1))
		return 0
	case "inside":
		return tests()
	case "test":
		os.Unsetenv(marker)
		for _, command := range commands {
			if err := run(command); err != nil {
				fmt.Fprintln(os.Stderr, "hosts:", err)
				return 1
			}
		}
		return tests()
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), marker+"=test")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := command.Run()
	var exited *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exited):
		return max(exited.ExitCode(), 1)
	}
	fmt.Fprintf(os.Stderr, "hosts: these tests need a network namespace of their own: %v; run them as root, or where users may have namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)\n", err)
	return 1
}

func run(command string) error {
	words := strings.Fields(command)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, bytes.TrimSpace(out))
	}
	return nil
}

// Host is one of them.
type Host struct {
	// Address is how the test's host reaches it.
	Address string

	number int
	pid    int
	link   string
}

var made atomic.Int32

// New makes a host, which lasts as long as the test.
func New(t testing.TB) *Host {
	t.Helper()
	holder := exec.Command("/proc/self/exe")
	holder.Env = append(os.Environ(), marker+"=hold")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	end, err := holder.StdinPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatalf("a host: %v", err)
	}
	n := int(made.Add(1))
	h := &Host{Address: fmt.Sprintf("10.77.%d.2", n), number: n, pid: holder.Process.Pid, link: "host" + strconv.Itoa(n)}
	t.Cleanup(func() {
		end.Close()
		_ = holder.Wait()
	})
	inside := fmt.Sprintf("nsenter --target %d --net ", h.pid)
	for _, command := range []string{
		fmt.Sprintf("ip link add %s type veth peer name eth0 netns %d", h.link, h.pid),
		fmt.Sprintf("ip addr add 10.77.%d.1/24 dev %s", n, h.link),
		"ip link set " + h.link + " up",
		inside + "ip link set lo up",
		inside + "ip addr add " + h.Address + "/24 dev eth0",
		inside + "ip link set eth0 up",
		inside + fmt.Sprintf("ip route add default via 10.77.%d.1", n),
	} {
		if err := run(command); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// Six gives the host an address of IPv6 besides, at which the test's host reaches it.
func (h *Host) Six(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		t.Skipf("this kernel has no IPv6: %v", err)
	}
	address := fmt.Sprintf("fd77:%d::2", h.number)
	inside := fmt.Sprintf("nsenter --target %d --net ", h.pid)
	for _, command := range []string{ // nodad: there is nobody else who could have them
		"ip -6 addr replace " + Address6 + "/128 dev lo",
		fmt.Sprintf("ip -6 addr add fd77:%d::1/64 dev %s nodad", h.number, h.link),
		inside + "ip -6 addr add " + address + "/64 dev eth0 nodad",
		inside + fmt.Sprintf("ip -6 route add default via fd77:%d::1", h.number),
	} {
		if err := run(command); err != nil {
			t.Fatal(err)
		}
	}
	return address
}

// Command is exec.Command on the host. What it starts dies with the test.
func (h *Host) Command(name string, arguments ...string) *exec.Cmd {
	command := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.pid), "--net", name}, arguments...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// Self is the test's own program once more, on the test's host.
func Self(arguments ...string) *exec.Cmd {
	command := exec.Command("/proc/self/exe", arguments...)
	command.Env = append(os.Environ(), marker+"=inside")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// Cut makes the network to the host swallow everything, without a word to either side, until mended.
func (h *Host) Cut(t testing.TB) (mend func()) {
	t.Helper()
	if err := run("ip link set " + h.link + " down"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := run("ip link set " + h.link + " up"); err != nil {
			t.Error(err)
		}
	}
}

// Mute makes what is sent to the host get lost, so that it looks as if it were off, until mended. (What is sent
// over a link that is down fails at once.)
func (h *Host) Mute(t testing.TB) (mend func()) {
	t.Helper()
	if err := run("ip neigh replace " + h.Address + " lladdr 02:00:00:00:00:00 nud permanent dev " + h.link); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := run("ip neigh del " + h.Address + " dev " + h.link); err != nil {
			t.Error(err)
		}
	}
}
