package probe_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/executors/probe"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Package devices imports nothing of ours, and so has names of its own for what is the data path's.
func TestNames(t *testing.T) {
	for ours, theirs := range map[string]string{
		devices.Ring: fabric.Ring, devices.OFIWrite: fabric.OFIWrite, devices.OFISend: fabric.OFISend, devices.SharedMemory: fabric.SharedMemory,
	} {
		if ours != theirs {
			t.Errorf("%s is %s in internal/fabric", ours, theirs)
		}
	}
}

// Every libfabric has tcp on the loopback interface.
func TestList(t *testing.T) {
	var out bytes.Buffer
	if err := probe.List(&out); err != nil {
		t.Fatal(err)
	}
	var offers []devices.Offer
	if err := json.Unmarshal(out.Bytes(), &offers); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(offers, func(o devices.Offer) bool { return o.Provider == devices.TCP && o.Address == "127.0.0.1" }) {
		t.Errorf("tcp at 127.0.0.1 is not among %+v", offers)
	}
	for i, o := range offers {
		if slices.Contains(offers[:i], o) {
			t.Errorf("%+v stands there twice", o)
		}
	}
}

// ask has a way tried against an end that answers the first request in a way of its own, and returns what
// came of it.
func ask(t *testing.T, way devices.Way, answer func(*control.Conn, *control.Frame) error) devices.Trial {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*control.Conn
	for i, fd := range pair {
		if ends[i], err = control.FromFile(os.NewFile(uintptr(fd), "end")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	asked := make(chan error, 1)
	go func() { asked <- probe.Ask(t.Context(), ends[0], way) }()
	frame, err := ends[1].Receive()
	if err == nil {
		err = answer(ends[1], frame)
		frame.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if frame, err = ends[1].Receive(); err != nil {
		t.Fatal(err)
	}
	var trial devices.Trial
	if err := frame.Decode(&trial); err != nil || frame.Type != control.TypeTried {
		t.Fatalf("%s: %v", frame.Type, err)
	}
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	return trial
}

// What goes wrong at the other end, or is none of an executor's answers, is the reason.
func TestReasons(t *testing.T) {
	reply := func(kind string, body any) func(*control.Conn, *control.Frame) error {
		return func(conn *control.Conn, frame *control.Frame) error { return conn.Send(kind, frame.Call, 0, body) }
	}
	ring := devices.Way{Transport: devices.Ring, Provider: "memfd"}
	tcp := devices.Way{Transport: devices.OFIWrite, Provider: devices.TCP, Address: "127.0.0.1"}
	for name, c := range map[string]struct {
		way    devices.Way
		answer func(*control.Conn, *control.Frame) error
		want   string
	}{
		"refused":         {ring, reply(control.TypeFailed, control.Failed{Code: control.CodeTransport, Text: "no room"}), "no room"},
		"no answer of it": {ring, reply(control.TypeOpened, "what?"), "the body of a opened frame"},
		"no name":         {tcp, reply(control.TypeOpened, control.Opened{}), "an executor's name of 0 bytes"},
		"no such way":     {devices.Way{Transport: "pigeon"}, reply(control.TypeOpened, control.Opened{Name: []byte("x")}), `"pigeon" is no transport over libfabric`},
		"nobody there":    {tcp, reply(control.TypeOpened, control.Opened{Name: []byte{1, 0, 0, 0, 2, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}}), "connecting to an executor"},
	} {
		t.Run(name, func(t *testing.T) {
			trial := ask(t, c.way, c.answer)
			if trial.Works || !strings.Contains(trial.Reason, c.want) || trial.Transport != c.way.Transport {
				t.Errorf("%+v; it should say %s", trial, c.want)
			}
		})
	}
}
