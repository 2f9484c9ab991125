package manager

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// claims are the cores that this manager holds against other managers of the same user on this
// machine: of other jobs, or beside an embedded helper. A claim is a bound abstract Unix socket:
// the kernel lets one process have the name, and takes it back whoever is killed.
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
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@sublet-core-%d-%d", c.uid, core)})
	if err == nil {
		c.held[core] = fd
		return true, nil
	}
	unix.Close(fd)
	if err == unix.EADDRINUSE {
		return false, nil
	}
	return false, fmt.Errorf("claiming core %d: %w", core, err)
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
