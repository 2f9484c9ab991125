package server

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/attempts"
)

// maxConnections bounds what clients can make the server hold.
const maxConnections = 8192

// connectionsAllowed is maxConnections, or less where this process may not open as many files. Two listeners have as many
// each, and half is left for the ledger, which must not end because of who connects.
func connectionsAllowed() int {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return maxConnections
	}
	return connectionsFor(files.Cur)
}

func connectionsFor(files uint64) int {
	if files >= 4*maxConnections {
		return maxConnections
	}
	return max(int(files)/4, 16)
}

// limited is a listener that has a bounded number of connections open: others wait in the kernel. A quarter of them
// at most are strangers', who have not shown a token.
type limited struct {
	net.Listener
	places    chan struct{}
	strangers *attempts.Strangers
	closed    chan struct{}
	once      sync.Once
}

func newLimited(listener net.Listener, most int) *limited {
	return &limited{
		Listener: listener, places: make(chan struct{}, most), strangers: attempts.NewStrangers(most / 4), closed: make(chan struct{}),
	}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	c := &limitedConn{Conn: conn, release: func() { <-l.places }}
	c.known = l.strangers.Enter(conn.RemoteAddr(), func() { _ = c.end() })
	return c, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	known   func() bool // it is no stranger's any more
	once    sync.Once
	release func()
}

func (c *limitedConn) Close() error {
	c.known()
	return c.end()
}

func (c *limitedConn) end() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// isKnown notes that who is at the other end of a request's connection has a right to be there.
func isKnown(ctx context.Context) {
	conn, _ := ctx.Value(connectionKey{}).(net.Conn)
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	if c, ok := conn.(*limitedConn); ok {
		c.known()
	}
}
