package control

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Between hosts nothing tells of a peer that has vanished, so both ends of a connection over the
// network say several times a second that they are there.
const (
	// BeatInterval is how often.
	BeatInterval = 500 * time.Millisecond
	// SilenceLimit is after how long without a word the peer counts as dead.
	SilenceLimit = 2 * time.Second
	// dialPatience is how long a node may take to answer.
	dialPatience = 5 * time.Second
)

// Silence says that the peer has not been heard of for too long.
type Silence struct{ Peer string }

func (e *Silence) Error() string {
	return fmt.Sprintf("%s has been silent for %v: it, its node or the network between is gone", e.Peer, SilenceLimit)
}

// Listen listens for connections from other hosts, which NewRemote takes. It is where TLS comes in,
// as Dial is.
func Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Dial connects to a manager on another host.
func Dial(ctx context.Context, address string) (*Conn, error) {
	dialer := net.Dialer{Timeout: dialPatience}
	stream, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return NewRemote(stream), nil
}

// NewRemote makes a control connection of a stream between hosts: its ends tell each other that
// they live, and Receive fails with a *Silence when the peer does not.
func NewRemote(stream net.Conn) *Conn {
	c := New(stream)
	c.silence = SilenceLimit
	go c.beat()
	return c
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
