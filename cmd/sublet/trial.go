package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/control"
)

// trialPatience is how long one trial may take: more than its ends give themselves.
const trialPatience = 45 * time.Second

// end is one of the two processes of a trial, and the connection to it.
type end struct {
	conn   *control.Conn
	stderr bytes.Buffer
	name   string       // of the end, for errors
	wait   func() error // for the process; may be called by several
}

// try tries a way to a device of one node from another; both are this one if their names are empty.
// What keeps it from being tried is a reason like others.
func (l *remote) try(ctx context.Context, from, to string, device devices.Device, way devices.Way) devices.Trial {
	trial, err := l.trial(ctx, from, to, device, way)
	if err != nil {
		trial = devices.Trial{Way: way, Reason: err.Error()}
	}
	trial.Reason = strings.TrimPrefix(trial.Reason, "fabric: ")
	return trial
}

func (l *remote) trial(ctx context.Context, from, to string, device devices.Device, way devices.Way) (devices.Trial, error) {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	environment := device.Environment()
	answer, err := l.start(ctx, to, environment, "--probe", "answer")
	if err != nil {
		return devices.Trial{}, err
	}
	defer answer.stop(cancel)
	if from != to {
		environment = nil // the device is the other node's
	}
	ask, err := l.start(ctx, from, environment, "--probe", "ask", "--transport", way.Transport, "--provider", way.Provider, "--address", way.Address)
	if err != nil {
		return devices.Trial{}, err
	}
	defer ask.stop(cancel)
	return relay(ctx, ask, answer)
}

// start starts an end on a node, or here if the node's name is empty.
func (l *remote) start(ctx context.Context, node string, environment []string, args ...string) (*end, error) {
	if node == "" {
		return startHere(ctx, environment, args...)
	}
	command, err := l.command(ctx, node, environment, executorProgram, args...)
	if err != nil {
		return nil, err
	}
	e := &end{name: "node " + node}
	command.Stderr = &e.stderr
	in, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, l.failure(ctx, &e.stderr, err)
	}
	e.conn, e.wait = control.NewPipes(in, out), sync.OnceValue(command.Wait)
	return e, nil
}

// startHere starts an end on this node, with a socket that can pass descriptors.
func startHere(ctx context.Context, environment []string, args ...string) (*end, error) {
	path, err := binaries.Find(executorProgram)
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	defer theirs.Close()
	conn, err := control.FromFile(os.NewFile(uintptr(pair[0]), "ours"))
	if err != nil {
		return nil, err
	}
	const first = 3 // of ExtraFiles
	command := exec.CommandContext(ctx, path, append(args, "--on", strconv.Itoa(first))...)
	e := &end{conn: conn, name: executorProgram}
	command.ExtraFiles, command.Stderr = []*os.File{theirs}, &e.stderr
	command.Env = append(os.Environ(), environment...)
	if err := command.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	e.wait = sync.OnceValue(command.Wait)
	return e, nil
}

// stop ends the process and waits for it.
func (e *end) stop(cancel context.CancelFunc) {
	cancel()
	e.conn.Close()
	_ = e.wait() // it was killed, or what it died of has been told
}

// relay passes on what the two ends say to each other until the one that asks says what came of it.
func relay(ctx context.Context, ask, answer *end) (devices.Trial, error) {
	type ending struct {
		trial devices.Trial
		err   error
	}
	ended := make(chan ending, 2)
	pass := func(from, to *end) {
		for {
			frame, err := from.conn.Receive()
			if err != nil {
				ended <- ending{err: from.died(ctx, err)}
				return
			}
			if frame.Type == control.TypeTried {
				var e ending
				e.err = frame.Decode(&e.trial)
				ended <- e
				return
			}
			err = to.conn.Forward(frame)
			frame.Close()
			if err != nil {
				ended <- ending{err: to.died(ctx, err)}
				return
			}
		}
	}
	go pass(answer, ask)
	go pass(ask, answer)
	select {
	case e := <-ended:
		return e.trial, e.err
	case <-ctx.Done():
		return devices.Trial{}, fmt.Errorf("nothing came of it in %v", trialPatience)
	}
}

// died says why an end has gone.
func (e *end) died(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	waited := e.wait()
	if words := lastWords(&e.stderr); words != nil {
		return fmt.Errorf("%s: %w", e.name, words)
	}
	return fmt.Errorf("%s ended: %w", e.name, errors.Join(waited, err))
}
