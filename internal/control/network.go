package control

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Between hosts nothing tells of a peer that has vanished, so both ends of a connection over the
// network say several times a second that they are there. The kernel of a peer acknowledges that at
// once, however busy the peer itself is: so a node or a network that is gone is noticed sooner than a
// process that has stopped.
const (
	// BeatInterval is how often.
	BeatInterval = 200 * time.Millisecond
	// NetworkLimit is how long the peer's node may leave a beat unacknowledged.
	NetworkLimit = 600 * time.Millisecond
	// SilenceLimit is after how long without a word the peer counts as dead.
	SilenceLimit = 2 * time.Second
	// dialPatience is how long a node may take to answer.
	dialPatience = 5 * time.Second
)

// Silence says that the peer has not been heard of for too long.
type Silence struct {
	Peer  string
	Limit time.Duration // NetworkLimit: its node does not answer; SilenceLimit: it does, but not the peer
}

func (e *Silence) Error() string {
	if e.Limit == NetworkLimit {
		return fmt.Sprintf("the node of %s has not answered for %v: it or the network between is gone", e.Peer, e.Limit)
	}
	return fmt.Sprintf("%s has been silent for %v: it is gone, or stopped", e.Peer, e.Limit)
}

// Secure makes of a stream one that nobody else reads or changes, and knows who is at its other end.
type Secure func(ctx context.Context, stream net.Conn) (net.Conn, error)

// Dial connects to a manager on another host.
func Dial(ctx context.Context, address string, secure Secure) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	var dialer net.Dialer
	stream, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	secured, err := secure(ctx, stream)
	if err != nil {
		stream.Close()
		return nil, err
	}
	return NewRemote(secured), nil
}

// NewRemote makes a control connection of a stream between hosts: its ends tell each other that
// they live, and Receive fails with a *Silence when the peer does not.
func NewRemote(stream net.Conn) *Conn {
	if tcp, ok := below(stream).(*net.TCPConn); ok {
		limitAcknowledgement(tcp)
	}
	c := New(stream)
	c.silence = SilenceLimit
	go c.beat()
	return c
}

// below is what carries a stream: under TLS another one.
func below(stream net.Conn) net.Conn {
	if over, ok := stream.(interface{ NetConn() net.Conn }); ok {
		return over.NetConn()
	}
	return stream
}

// beat runs until the connection is closed.
func (c *Conn) beat() {
	ticker := time.NewTicker(BeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if c.Send(TypeBeat, 0, Manager, nil) != nil {
				return // receiving finds out
			}
		case <-c.closed:
			return
		}
	}
}

// limitAcknowledgement has the kernel end a connection whose peer's kernel answers nothing. Where it
// can not, silence ends it later.
func limitAcknowledgement(stream *net.TCPConn) {
	raw, err := stream.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(NetworkLimit.Milliseconds()))
	})
}
