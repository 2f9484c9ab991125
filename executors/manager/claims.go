package manager

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// claims are the cores that this manager holds against other managers of the same user on this
// machine: of other jobs, or beside an embedded helper. A claim is a bound abstract Unix socket:
// the kernel lets one process have the name, and takes it back whoever is killed. It listens, so
// that another can ask the kernel whose it is: a stranger's claim does not count.
type claims struct {
	uid  int
	held map[int]int // core → descriptor
}

func newClaims(uid int) *claims { return &claims{uid: uid, held: map[int]int{}} }

// take claims a core; false: another manager has it.
func (c *claims) take(core int) (bool, error) {
	if _, ours := c.held[core]; ours {
		return true, nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("claiming core %d: %w", core, err)
	}
	name := c.name(core)
	err = unix.Bind(fd, name)
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err == nil {
		c.held[core] = fd
		return true, nil
	}
	unix.Close(fd)
	if err == unix.EADDRINUSE {
		return c.isStrangers(name), nil
	}
	return false, fmt.Errorf("claiming core %d: %w", core, err)
}

func (c *claims) name(core int) *unix.SockaddrUnix {
	return &unix.SockaddrUnix{Name: fmt.Sprintf("@sublet-core-%d-%d", c.uid, core)}
}

// isStrangers tells whether another user has bound the name. Where the holder can not be asked
// (its queue is full, or it has just gone) it counts as one of us: a core less is no harm.
func (c *claims) isStrangers(name unix.Sockaddr) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, name); err != nil {
		return false
	}
	holder, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err == nil && int(holder.Uid) != c.uid
}

// others are the cores that other managers have claimed. To try would be to claim, and to be in the
// way of one that wants the core just then; so it is read from the kernel's list of sockets.
func (c *claims) others() ([]int, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("looking for other managers' claims: %w", err)
	}
	prefix := fmt.Sprintf(" @sublet-core-%d-", c.uid)
	var cores []int
	for line := range strings.SplitSeq(string(text), "\n") {
		_, name, found := strings.Cut(line, prefix)
		if !found {
			continue
		}
		core, err := strconv.Atoi(name)
		if _, ours := c.held[core]; err == nil && !ours && !c.isStrangers(c.name(core)) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

func (c *claims) drop(core int) {
	if fd, ours := c.held[core]; ours {
		unix.Close(fd)
		delete(c.held, core)
	}
}

func (c *claims) dropAll() {
	for core := range c.held {
		c.drop(core)
	}
}
