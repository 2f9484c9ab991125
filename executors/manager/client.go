package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/pollable"
)

// helloPatience is how long a client may take to say who it is.
const helloPatience = 10 * time.Second

// client is one connection of a client; a lease at most is its.
type client struct {
	manager *Manager
	conn    *control.Conn
	pid     int
	process *os.File // its pidfd; nil for a client on another host
	log     *slog.Logger

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	lease  *lease      // the receiving goroutine's; it may have ended by itself
	idle   *time.Timer // ends a connection from another host that has no lease; nil on this one
	known  bool        // it has shown a ticket, or proved itself, or needs neither
	// identified counts it no longer among the strangers; nil on this host.
	identified func() bool
	// challenge is what it was sent to prove itself with, and proof what it owes a manager that grants leases itself
	// before it is told, or gets, anything; nil: nothing.
	challenge, proof []byte
	asking           sync.WaitGroup
	asked            atomic.Int32 // of those, how many are not answered
}

// newClient admits a client of our own user. If it fails the stream stays the caller's.
func newClient(m *Manager, stream *net.UnixConn) (*client, error) {
	peer, err := peerOf(stream)
	if err != nil {
		return nil, err
	}
	if int(peer.Uid) != m.node.UID {
		return nil, fmt.Errorf("process %d of user %d connects; this manager serves user %d alone", peer.Pid, peer.Uid, m.node.UID)
	}
	c := &client{manager: m, pid: int(peer.Pid), known: true, log: m.log.With("client", peer.Pid)}
	if c.process, err = pollable.Process(c.pid); err != nil {
		return nil, err
	}
	c.conn = control.New(stream)
	c.ctx, c.cancel = context.WithCancel(m.ctx)
	return c, nil
}

// ticketPatience is how long a client on another host may take to show a ticket, which is all that
// tells it from anybody.
const ticketPatience = 10 * time.Second

// newRemoteClient takes over a stream from another host.
func newRemoteClient(m *Manager, stream net.Conn, identified func() bool) *client {
	c := &client{manager: m, identified: identified, log: m.log.With("client", stream.RemoteAddr().String())}
	c.ctx, c.cancel = context.WithCancel(m.ctx)
	c.conn = control.NewRemote(stream)
	c.idle = time.AfterFunc(ticketPatience, c.cancel)
	return c
}

// serve receives until the connection ends, and then ends what is left of it.
func (c *client) serve() {
	c.log.Debug("connected")
	// The end of the connection's context is the end of the connection: Receive returns.
	stop := context.AfterFunc(c.ctx, c.leave)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if c.process == nil {
			return
		}
		if pollable.Wait(c.process) == nil {
			c.log.Debug("the client's process has exited")
			c.cancel()
		}
	}()
	if err := c.receive(); !c.isGone(err) {
		c.log.Warn("a client's connection was ended", "error", err)
	}
	c.cancel()
	if c.lease != nil {
		<-c.lease.ended
	}
	c.asking.Wait()
	stop()
	c.conn.Close()
	if c.process != nil {
		c.process.Close()
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	c.identify()
	<-watched
	c.log.Debug("disconnected")
}

// leavingPatience is how long a client may take to hear that the manager ends.
const leavingPatience = 100 * time.Millisecond

// leave ends the connection; if that is because the manager ends, the client is told so.
func (c *client) leave() {
	if c.manager.ctx.Err() != nil && c.conn.Stream().SetWriteDeadline(time.Now().Add(leavingPatience)) == nil {
		c.send(control.TypeLeaving, 0, control.Manager, nil)
	}
	c.conn.Close()
}

// receive handles frames until receiving fails, and returns why it did.
func (c *client) receive() error {
	if err := c.welcome(); err != nil {
		return err
	}
	for {
		frame, err := c.conn.Receive()
		if err != nil {
			return err
		}
		if frame.Executor == control.Manager {
			c.answer(frame)
		} else {
			c.pass(frame)
		}
		frame.Close()
	}
}

// isGone tells the errors of a client that has gone, or that we have left, from those of one that
// breaks the protocol.
func (c *client) isGone(err error) bool {
	var broken *control.ProtocolError
	var refused *control.Failed
	if errors.As(err, &broken) || errors.As(err, &refused) {
		return false
	}
	return c.ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || isReset(err)
}

// answer does what a frame for the manager asks.
func (c *client) answer(frame *control.Frame) {
	var err error
	switch frame.Type {
	case control.TypeProve:
		err = c.prove(frame)
	case control.TypeLease:
		err = c.begin(frame)
	case control.TypeRelease:
		if c.lease == nil {
			err = &control.Failed{Code: control.CodeInvalid, Text: "there is no lease to release on this connection"}
			break
		}
		c.lease.end()
		c.lease = nil
		if c.idle != nil {
			c.idle.Reset(ticketPatience)
		}
		c.reply(frame, control.TypeReleased, nil)
	case control.TypeKill:
		var kill control.Kill
		if err = frame.Decode(&kill); err == nil && c.lease != nil {
			c.lease.kill(kill)
		}
	case control.TypePart:
		var part control.ContentPart
		if err = frame.Decode(&part); err == nil && c.lease != nil {
			err = c.lease.deliver(part)
		}
	case control.TypePool:
		err = c.askPool(frame)
	default:
		err = &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("an executor manager does not know frames of type %q", frame.Type)}
	}
	if err != nil {
		c.log.Info("a request was refused", "type", frame.Type, "error", err)
		if frame.Call != 0 {
			c.reply(frame, control.TypeFailed, asFailed(err))
		}
		c.countFailure(err)
	}
}

// countFailure ends the connection of a client on another host that has shown too often that it has no right to a lease.
func (c *client) countFailure(err error) {
	var failed *control.Failed
	if c.process != nil || !errors.As(err, &failed) || failed.Code != control.CodeTicket {
		return
	}
	if !c.manager.failures.Failed(c.conn.Stream().RemoteAddr(), time.Now()) {
		c.log.Warn("too many leases without a right to them were asked for from that address; the connection is ended")
		c.cancel()
	}
}

// begin starts to grant a lease; the answer comes when its executors have started.
func (c *client) begin(frame *control.Frame) error {
	if c.lease != nil && !c.lease.isFreed() {
		return &control.Failed{Code: control.CodeInvalid, Text: "this connection has a lease already; another lease needs another connection"}
	}
	var request control.LeaseRequest
	if err := frame.Decode(&request); err != nil {
		return err
	}
	if c.proof != nil {
		return c.refuseStranger()
	}
	if err := c.manager.refuseLate(request); err != nil {
		return err
	}
	if c.lease != nil {
		<-c.lease.ended
	}
	l, err := newLease(c, frame.Call, request, frame.Files)
	if err != nil {
		return err
	}
	frame.Files = nil // the lease's
	c.lease = l
	if c.idle != nil {
		c.idle.Stop()
	}
	c.identify()
	go l.run()
	return nil
}

// maxAsked is how many questions for the pool a client can have that are not answered: each costs a goroutine.
const maxAsked = 64

// askPool answers how full the pool is, when it is full or the client has waited long enough.
func (c *client) askPool(frame *control.Frame) error {
	if !c.known {
		return &control.Failed{Code: control.CodeInvalid, Text: "a client on another host asks for a lease, with its ticket, before anything else"}
	}
	var wanted control.Pool
	if err := frame.Decode(&wanted); err != nil {
		return err
	}
	if c.asked.Add(1) > maxAsked {
		c.asked.Add(-1)
		return &control.Failed{Code: control.CodeLimit, Text: fmt.Sprintf("this connection waits %d times for the pool; wait for an answer before you ask again", maxAsked)}
	}
	request := *frame
	c.asking.Go(func() {
		defer c.asked.Add(-1)
		c.reply(&request, control.TypePool, c.manager.pool.await(c.ctx, wanted.Wait))
	})
	return nil
}

// pass hands a frame to an executor of the lease.
func (c *client) pass(frame *control.Frame) {
	if c.lease == nil {
		c.refusePassing(frame, &control.Failed{Code: control.CodeInvalid, Text: "there is no lease on this connection"})
		return
	}
	if err := c.lease.pass(frame); err != nil {
		c.refusePassing(frame, err)
	}
}

func (c *client) refusePassing(frame *control.Frame, err error) {
	if frame.Call != 0 {
		c.reply(frame, control.TypeFailed, asFailed(err))
	}
}

// reply answers a frame. If the client is gone, receiving finds out.
func (c *client) reply(request *control.Frame, kind string, body any) {
	c.send(kind, request.Call, request.Executor, body)
}

// send leaves descriptors out where they can not go.
func (c *client) send(kind string, call uint64, executor int, body any, files ...*os.File) {
	if !c.conn.PassesDescriptors() {
		files = nil
	}
	if err := c.conn.Send(kind, call, executor, body, files...); err != nil {
		c.log.Debug("a frame could not be sent", "type", kind, "error", err)
	}
}
