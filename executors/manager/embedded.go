package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstClientPatience is how long an embedded helper waits for its first client, which has just
// started it.
const firstClientPatience = 1500 * time.Millisecond

// ErrSocketTaken says that another helper has the socket: this one is not needed.
var ErrSocketTaken = errors.New("another helper has this socket")

// RunEmbedded is the executor manager of one job on one node, which the job's ranks share. socket
// is the name of an abstract Unix socket, without its leading zero byte: to bind it is to be
// elected. RunEmbedded returns when the last client has gone, when none has come for a while or
// its starter wants none, or when ctx ends; then nothing is left of any lease.
//
//	listening ── last client gone ──▶ closing ── nobody on the way ──▶ ended
//	    ▲                                │
//	    └──── somebody was on the way ───┘
func RunEmbedded(ctx context.Context, socket string, options Options) error {
	listener, err := listen(socket)
	if err != nil {
		return err
	}
	m, err := New(options)
	if err != nil {
		listener.Close()
		return err
	}
	defer m.Close()
	h := &helper{manager: m, arrivals: make(chan *net.UnixConn), gone: make(chan struct{}), done: make(chan struct{})}
	defer close(h.done)
	h.listenFor(options.Wish)
	for {
		accepting := make(chan error, 1)
		go func() { accepting <- h.accept(listener) }()
		if err := h.attend(ctx, accepting); err != nil {
			listener.Close()
			return err
		}
		if err := h.stopListening(listener, accepting); err != nil {
			return err
		}
		if h.clients == 0 || ctx.Err() != nil {
			return nil
		}
		listener, err = listen(socket)
		if errors.Is(err, ErrSocketTaken) {
			// A newer helper serves those who come; this one stays for those that it has.
			return h.attend(ctx, nil)
		}
		if err != nil {
			return err
		}
	}
}

func listen(socket string) (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + socket, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, ErrSocketTaken
	}
	if err != nil {
		return nil, fmt.Errorf("executor manager: listening at @%s: %w", socket, err)
	}
	return listener, nil
}

// helper is the loop's state.
type helper struct {
	manager  *Manager
	clients  int
	arrivals chan *net.UnixConn
	gone     chan struct{} // one for each client that has gone
	done     chan struct{} // closed when nobody counts any more
	wishless chan struct{} // closed when who has started the helper needs it no more; nil: that has been seen
}

// listenFor notes the end of a wish. Whoever gives up while the helper starts leaves none behind for long.
func (h *helper) listenFor(wish io.Reader) {
	if wish == nil {
		return
	}
	ended := make(chan struct{})
	h.wishless = ended
	go func() {
		_, _ = io.Copy(io.Discard, wish) // an error is an end as well
		close(ended)
	}()
}

// acceptPause is how long to wait where the kernel can not make another descriptor.
const acceptPause = 50 * time.Millisecond

// accept sends those who connect to arrivals, until the listener is stopped.
func (h *helper) accept(listener *net.UnixListener) error {
	for {
		stream, err := listener.AcceptUnix()
		switch {
		case err == nil:
			h.arrivals <- stream
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
			h.manager.log.Warn("a client has to wait", "error", err)
			<-time.After(acceptPause)
		case !errors.Is(err, unix.ECONNABORTED):
			return fmt.Errorf("executor manager: accepting clients: %w", err)
		}
	}
}

// attend serves clients until none is left, or ctx ends.
func (h *helper) attend(ctx context.Context, accepting <-chan error) error {
	first := time.NewTimer(firstClientPatience)
	defer first.Stop()
	for {
		select {
		case stream := <-h.arrivals:
			h.admit(stream)
		case <-h.gone:
			h.clients--
			if h.clients == 0 {
				return nil
			}
		case <-h.wishless:
			h.wishless = nil
			if h.clients == 0 {
				return nil
			}
		case <-first.C:
			if h.clients == 0 {
				h.manager.log.Info("no client has come")
				return nil
			}
		case err := <-accepting:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// admit serves a client. Whoever is of another user is nobody: anybody can connect to an abstract
// socket, and must neither keep a helper alive, nor end it, nor fill its log.
func (h *helper) admit(stream *net.UnixConn) {
	if peer, err := peerOf(stream); err != nil || int(peer.Uid) != h.manager.node.UID {
		h.manager.log.Debug("somebody else connected", "peer", peer, "error", err)
		stream.Close()
		return
	}
	h.clients++
	go func() {
		h.manager.Serve(stream)
		select {
		case h.gone <- struct{}{}:
		case <-h.done:
		}
	}()
}

// stopListening has who connects from now on refused, who then starts or finds another helper, and
// admits those who have connected before.
func (h *helper) stopListening(listener *net.UnixListener, accepting <-chan error) error {
	defer listener.Close()
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_RD) }); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("executor manager: stopping to listen: %w", err)
	}
	if err := listener.SetDeadline(time.Unix(1, 0)); err != nil { // accept returns at once
		return err
	}
	for stopped := false; !stopped; {
		select {
		case stream := <-h.arrivals:
			h.admit(stream)
		case _, stopped = <-accepting:
		}
	}
	for {
		stream, err := acceptQueued(raw)
		if err != nil || stream == nil {
			return err
		}
		h.admit(stream)
	}
}

// acceptQueued accepts one that has connected, nil if there is none.
func acceptQueued(raw syscall.RawConn) (*net.UnixConn, error) {
	var fd int
	var failed error
	if err := raw.Control(func(listener uintptr) {
		fd, _, failed = unix.Accept4(int(listener), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, nil // nobody is there, or has gone again
	}
	file := os.NewFile(uintptr(fd), "client")
	defer file.Close()
	stream, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return stream.(*net.UnixConn), nil
}
