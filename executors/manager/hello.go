package manager

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/resources/api"
)

// welcome exchanges hello and welcome.
func (c *client) welcome() error {
	if err := c.bounded(time.Now().Add(helloPatience)); err != nil {
		return err
	}
	frame, err := c.conn.Receive()
	if err != nil {
		return err
	}
	defer frame.Close()
	hello, err := c.checkHello(frame)
	if err != nil {
		c.reply(frame, control.TypeFailed, asFailed(err))
		return err
	}
	if err := c.bounded(time.Time{}); err != nil {
		return err
	}
	welcome := control.Welcome{
		Protocol: control.Protocol, Version: version.Version,
		Node: c.manager.node.Name,
	}
	if c.process != nil {
		welcome.Cores = c.manager.capacity.lendable()
	}
	c.challenge = make([]byte, api.NonceSize)
	_, _ = rand.Read(c.challenge) // never fails
	switch {
	case c.manager.tickets != nil:
		welcome.Challenge = c.challenge
	case c.manager.direct != nil:
		if err := c.introduce(hello, &welcome); err != nil {
			return err
		}
	}
	c.reply(frame, control.TypeWelcome, welcome)
	return nil
}

func (c *client) checkHello(frame *control.Frame) (hello control.Hello, _ error) {
	if frame.Type != control.TypeHello || frame.Executor != control.Manager {
		return hello, &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("a connection begins with hello, not with %q", frame.Type)}
	}
	if err := frame.Decode(&hello); err != nil {
		return hello, err
	}
	if hello.Protocol != control.Protocol {
		return hello, &control.Failed{Code: control.CodeVersion, Text: fmt.Sprintf(
			"the client is of version %s and speaks protocol %d, the executor manager on %s of version %s and speaks %d; rebuild the older one",
			hello.Version, hello.Protocol, c.manager.node.Name, version.Version, control.Protocol)}
	}
	if c.process == nil { // its ranks are another node's
		return hello, nil
	}
	if hello.PID != c.pid {
		return hello, &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("the client says that it is process %d, the kernel says %d; both ends must be in one PID namespace", hello.PID, c.pid)}
	}
	c.manager.capacity.noteRanks(c.ctx, hello.PID, hello.Launcher, hello.LocalRanks)
	return hello, nil
}

// identify counts the client no longer as a stranger.
func (c *client) identify() {
	if !c.known {
		c.known = true
		c.identified()
	}
}

// bounded sets until when to receive. A connection between hosts has its own bounds.
func (c *client) bounded(until time.Time) error {
	if c.process == nil {
		return nil
	}
	return c.conn.Stream().SetReadDeadline(until)
}
