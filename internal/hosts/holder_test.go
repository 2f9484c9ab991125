package hosts_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// TestHolder is the client that other tests start and kill: it holds a lease, says on which cores, and
// gives it back when it gets SIGTERM. Among the others there is nothing for it to do.
func TestHolder(t *testing.T) {
	executors, err := strconv.Atoi(os.Getenv(holderVariable))
	if err != nil {
		return
	}
	terminated, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	s, err := offload.Connect(within(t))
	check(t, err)
	l, err := s.Lease(within(t), offload.Want{Executors: executors, Library: os.Getenv("SUBLET_TEST_LIBRARY")})
	check(t, err)
	for _, e := range l.Executors() {
		fmt.Fprintln(os.Stderr, "holds core", e.Core())
	}
	<-terminated.Done()
	check(t, l.Release())
	check(t, s.Close())
}

// show shows a ticket to a manager as a client on another host does, which proves that it is its own; the answer is its
// refusal.
func show(t *testing.T, address, ticket string, prove func(challenge []byte, ticket string) []byte) string {
	t.Helper()
	conn, welcome := greet(t, address)
	defer conn.Close()
	check(t, conn.Send(control.TypeLease, 2, control.Manager, control.LeaseRequest{
		Executors: 1, Library: library, Ticket: ticket, Proof: prove(welcome.Challenge, ticket),
	}))
	if err := answered(conn, &control.Granted{}); err != nil {
		return err.Error()
	}
	return ""
}

// greet connects to a manager as a client on another host does.
func greet(t *testing.T, address string) (conn *control.Conn, welcome control.Welcome) {
	t.Helper()
	stream, err := tls.Dial("tcp", address, api.AnyServer())
	check(t, err)
	conn = control.NewRemote(stream)
	check(t, conn.Send(control.TypeHello, 1, control.Manager, control.Hello{Protocol: control.Protocol, Version: version.Version, PID: os.Getpid()}))
	check(t, answered(conn, &welcome))
	return conn, welcome
}

// answered reads the next frame.
func answered(conn *control.Conn, into any) error {
	frame, err := conn.Receive()
	if err != nil {
		return err
	}
	defer frame.Close()
	return frame.Decode(into)
}
