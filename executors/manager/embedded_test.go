package manager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/pollable"
)

func socketName(t *testing.T) string {
	return fmt.Sprintf("sublet-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
}

// waitFree returns when nobody listens at a socket any more.
func waitFree(t *testing.T, socket string, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		listener, err := listen(socket)
		if err == nil {
			listener.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("@%s is taken after %v: %v", socket, within, err)
		}
	}
}

// openExecutors opens the executors that a client process has told of.
func openExecutors(t *testing.T, lines *bufio.Scanner) []*os.File {
	t.Helper()
	if !lines.Scan() {
		t.Fatal("the client ended without a lease")
	}
	var files []*os.File
	for _, field := range strings.Fields(lines.Text()) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("the client says %q", lines.Text())
		}
		file, err := pollable.Process(pid)
		check(t, err)
		t.Cleanup(func() { file.Close() })
		files = append(files, file)
	}
	return files
}

func TestOneHelperIsElected(t *testing.T) {
	socket := socketName(t)
	var helpers []*process
	for range 4 {
		p, _ := start(t, roleHelper, socket)
		helpers = append(helpers, p)
	}
	conn, err := dialHelper(socket)
	check(t, err)
	var left []*process
	for _, p := range helpers {
		if p.Process.Pid == helperPID(t, conn) {
			left = append(left, p)
			continue
		}
		p.waitExit(t, patience)
		if p.ProcessState.ExitCode() != exitTaken {
			t.Errorf("a helper that was not elected: %v", p.ProcessState)
		}
	}
	if len(left) != 1 {
		t.Fatalf("%d helpers are elected", len(left))
	}
	conn.Close() // the last client
	left[0].waitExit(t, patience)
	if !left[0].ProcessState.Success() {
		t.Errorf("the helper ended with %v", left[0].ProcessState)
	}
}

func helperPID(t *testing.T, conn *control.Conn) int {
	t.Helper()
	peer, err := peerOf(conn.Stream().(*net.UnixConn))
	check(t, err)
	return int(peer.Pid)
}

// However a client ends, its executors end, and the helper with the last client.
func TestHelperEndsWithItsLastClient(t *testing.T) {
	for name, end := range map[string]func(*process){
		"killed": func(p *process) { _ = p.Process.Kill() },
		"exits":  func(p *process) { _ = p.Process.Signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			socket := socketName(t)
			helper, _ := start(t, roleHelper, socket)
			var clients []*process
			var executors [][]*os.File
			for range 2 {
				c, lines := start(t, roleClient, socket)
				clients = append(clients, c)
				executors = append(executors, openExecutors(t, lines))
			}
			end(clients[0])
			for _, pidfd := range executors[0] {
				waitGone(t, pidfd)
			}
			select {
			case <-helper.exited:
				t.Fatal("the helper ended although it has a client")
			default:
			}
			end(clients[1])
			for _, pidfd := range executors[1] {
				waitGone(t, pidfd)
			}
			helper.waitExit(t, 2*time.Second)
			waitFree(t, socket, time.Second)
		})
	}
}

func TestKilledHelperTakesItsExecutorsAlong(t *testing.T) {
	socket := socketName(t)
	helper, _ := start(t, roleHelper, socket)
	_, lines := start(t, roleClient, socket)
	executors := openExecutors(t, lines)
	check(t, helper.Process.Kill())
	for _, pidfd := range executors {
		waitGone(t, pidfd)
	}
	waitFree(t, socket, 2*time.Second)
}

// Clients that come and go without a pause are served by somebody, and none is left hanging.
func TestComingAndGoing(t *testing.T) {
	socket := socketName(t)
	for round := range 50 {
		ended := make(chan error, 1)
		go func() { ended <- RunEmbedded(context.Background(), socket, Options{cores: testCores(30, 2)}) }()
		first, err := dialHelper(socket)
		check(t, err)
		first.Close()
		second, err := dialOnce(socket) // as the helper makes up its mind to end
		if err == nil {
			check(t, second.Send(control.TypeHello, 1, control.Manager, control.Hello{Protocol: control.Protocol, PID: os.Getpid()}))
			frame, err := second.Receive()
			if err != nil {
				t.Fatalf("round %d: accepted and then dropped: %v", round, err)
			}
			check(t, frame.Decode(&control.Welcome{}))
			second.Close()
		}
		select {
		case err := <-ended:
			check(t, err)
		case <-time.After(patience):
			t.Fatalf("round %d: the helper does not end", round)
		}
	}
}

func TestHelperEndsWithItsContext(t *testing.T) {
	socket := socketName(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- RunEmbedded(ctx, socket, Options{cores: testCores(31, 2)}) }()
	conn, err := dialHelper(socket)
	check(t, err)
	defer conn.Close()
	if err := RunEmbedded(ctx, socket, Options{}); !errors.Is(err, ErrSocketTaken) {
		t.Errorf("a second helper: %v", err)
	}
	cancel()
	check(t, <-ended)
	waitFree(t, socket, time.Second)
}

// A helper that nobody wants any more when it has started ends at once; one that has clients stays for them.
func TestHelperIsNotWanted(t *testing.T) {
	socket := socketName(t)
	run := func(wish io.Reader) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- RunEmbedded(context.Background(), socket, Options{cores: testCores(32, 2), Wish: wish})
		}()
		return ended
	}
	began := time.Now()
	check(t, <-run(strings.NewReader("")))
	if took := time.Since(began); took >= firstClientPatience {
		t.Errorf("it ended after %v, as it does when nobody says anything", took)
	}

	its, wish := io.Pipe()
	ended := run(its)
	conn, err := dialHelper(socket)
	check(t, err)
	greet := func() {
		t.Helper()
		check(t, conn.Send(control.TypeHello, 1, control.Manager, control.Hello{Protocol: control.Protocol, PID: os.Getpid()}))
		frame, err := conn.Receive()
		check(t, err)
		check(t, frame.Decode(&control.Welcome{}))
	}
	greet()
	check(t, wish.Close())
	second, err := dialHelper(socket) // it takes others still
	check(t, err)
	conn.Close()
	conn = second
	greet()
	select {
	case err := <-ended:
		t.Fatalf("it has a client, and ended: %v", err)
	default:
	}
	conn.Close()
	check(t, <-ended)
}
