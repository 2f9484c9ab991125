package hosts_test

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/version"
	"github.com/sublet-hpc/sublet/offload"
)

// TestHolder is the client that other tests start and kill: it holds a lease. Among the others there
// is nothing for it to do.
func TestHolder(t *testing.T) {
	executors, err := strconv.Atoi(os.Getenv(holderVariable))
	if err != nil {
		return
	}
	s, err := offload.Connect(within(t))
	check(t, err)
	_, err = s.Lease(within(t), offload.Want{Executors: executors, Library: os.Getenv("SUBLET_TEST_LIBRARY")})
	check(t, err)
	select {}
}

// show shows a ticket to a manager as a client on another host does; the answer is its refusal.
func show(t *testing.T, address, ticket string) string {
	t.Helper()
	stream, err := net.Dial("tcp", address)
	check(t, err)
	conn := control.NewRemote(stream)
	defer conn.Close()
	check(t, conn.Send(control.TypeHello, 1, control.Manager, control.Hello{Protocol: control.Protocol, Version: version.Version, PID: os.Getpid()}))
	ask := func(into any) error {
		frame, err := conn.Receive()
		check(t, err)
		defer frame.Close()
		return frame.Decode(into)
	}
	check(t, ask(&control.Welcome{}))
	check(t, conn.Send(control.TypeLease, 2, control.Manager, control.LeaseRequest{Executors: 1, Library: library, Ticket: ticket}))
	if err := ask(&control.Granted{}); err != nil {
		return err.Error()
	}
	return ""
}
