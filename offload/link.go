package offload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
)

// link is the client's end of a control connection: requests with their replies, and what the
// manager says unasked.
type link struct {
	conn   *control.Conn
	mu     sync.Mutex // guards what follows
	calls  map[uint64]chan *control.Frame
	last   uint64
	err    error         // why the connection ended
	closed chan struct{} // closed when it has
	leaves bool          // the manager has said that it ends
	why    string        // it does, if it has said so

	unasked func(*control.Frame) // called by the receiving goroutine
}

// newLink takes over a connection and says hello.
func newLink(ctx context.Context, conn *control.Conn, hello control.Hello, unasked func(*control.Frame)) (*link, control.Welcome, error) {
	l := &link{conn: conn, calls: map[uint64]chan *control.Frame{}, closed: make(chan struct{}), unasked: unasked}
	go l.receive()
	hello.Protocol, hello.Version = control.Protocol, version.Version
	var welcome control.Welcome
	if err := l.call(ctx, control.TypeHello, theManager, hello, &welcome); err != nil {
		l.close()
		return nil, welcome, err
	}
	if welcome.Protocol != control.Protocol {
		l.close()
		return nil, welcome, classify(ErrVersion, "the executor manager on %s is of version %s, this program of %s; rebuild one of them", welcome.Node, welcome.Version, version.Version)
	}
	return l, welcome, nil
}

var errEnded = errors.New("the executor manager ended the connection")

// endedByPeer tells whether a connection failed because there is nobody at its other end.
func endedByPeer(err error) bool {
	return errors.Is(err, errEnded) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) // receiving has found out first
}

func (l *link) receive() {
	for {
		frame, err := l.conn.Receive()
		if err != nil {
			l.end(err)
			return
		}
		if frame.Type == control.TypeLeaving {
			l.mu.Lock()
			l.leaves = true
			l.mu.Unlock()
		}
		if frame.Call == 0 {
			l.unasked(frame)
			frame.Close()
			continue
		}
		l.mu.Lock()
		reply, ok := l.calls[frame.Call]
		delete(l.calls, frame.Call)
		l.mu.Unlock()
		if !ok { // its caller has given up
			frame.Close()
			continue
		}
		reply <- frame
	}
}

func (l *link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errEnded
	}
	l.err = fmt.Errorf("offload: the connection to the executor manager: %w", err)
	close(l.closed)
	l.conn.Close()
}

// silence is why the connection ended, if the manager was not heard of any more.
func (l *link) silence() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var silent *control.Silence
	if errors.As(l.err, &silent) {
		return silent
	}
	return nil
}

// isLeft tells whether the connection has ended because the manager ends, and why that does.
func (l *link) isLeft() (is bool, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leaves, l.why
}

// drain notes that the manager is about to end.
func (l *link) drain(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaves, l.why = true, why
}

func (l *link) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *link) close() { l.end(ErrClosed) }

// target is who a request is for: the manager, or one process of an executor.
type target struct{ executor, process int }

var theManager = target{executor: control.Manager}

// call sends a request and waits for its reply.
func (l *link) call(ctx context.Context, kind string, to target, body, reply any, files ...*os.File) error {
	frame, err := l.callFrame(ctx, kind, to, body, files...)
	if err != nil {
		return err
	}
	defer frame.Close()
	return l.explain(frame.Decode(reply))
}

// callFrame is call for replies that carry descriptors; the caller closes the frame.
func (l *link) callFrame(ctx context.Context, kind string, to target, body any, files ...*os.File) (*control.Frame, error) {
	reply := make(chan *control.Frame, 1)
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return nil, l.err
	}
	l.last++
	call := l.last
	l.calls[call] = reply
	l.mu.Unlock()
	if err := l.conn.SendFrame(&control.Frame{Type: kind, Call: call, Executor: to.executor, Process: to.process, Files: files}, body); err != nil {
		l.forget(call)
		return nil, fmt.Errorf("offload: sending to the executor manager: %w", err)
	}
	select {
	case frame := <-reply:
		return frame, nil
	case <-ctx.Done():
		l.forget(call)
		return nil, ctx.Err()
	case <-l.closed:
		select { // the reply may have come just before the end
		case frame := <-reply:
			return frame, nil
		default:
			return nil, l.err
		}
	}
}

func (l *link) forget(call uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, call)
}

// explain makes the manager's refusals findable by errors.Is.
func (l *link) explain(err error) error {
	var failed *control.Failed
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Code {
	case control.CodeNoCapacity:
		return classify(ErrNoCapacity, "%s", failed.Text)
	case control.CodeVersion:
		return classify(ErrVersion, "%s", failed.Text)
	}
	return failed
}
