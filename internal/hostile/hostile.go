package hostile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Plan is what an executor does wrong. The zero Plan does nothing wrong.
type Plan struct {
	// Faults of its responses.
	Faults []fabric.Fault `json:"faults,omitempty"`
	// Ring is one of the names in Attacks: what is done to the shared memory, from the invocation
	// with the number From on.
	Ring string `json:"ring,omitempty"`
	From uint64 `json:"from,omitempty"`
	// Control is what is done on the control connection instead of answering frames of the type On,
	// after the first ones, which are answered well.
	Control Control `json:"control,omitempty"`
	On      string  `json:"on,omitempty"`
	After   int     `json:"after,omitempty"`
	// Only are the executors of the lease that do so, by their index; empty: all.
	Only []int `json:"only,omitempty"`
}

// String is the plan as Run takes it.
func (p Plan) String() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // it holds nothing that can not be encoded
	}
	return string(raw)
}

// Control is a way to break the protocol of the control connection.
type Control string

// Ways to break the control connection's protocol.
const (
	Silent   Control = "silent"   // no answer
	Garbage  Control = "garbage"  // bytes that are no frame
	Huge     Control = "huge"     // a frame above the limit
	Wrong    Control = "wrong"    // an answer whose body is of another type
	Mistaken Control = "mistaken" // answers to calls that nobody made
	Closed   Control = "closed"   // the connection's end
	Stopped  Control = "stopped"  // the whole process stops
	Lie      Control = "lie"      // progress: nothing has been begun
)

// Descriptors that an executor inherits.
const (
	controlDescriptor = 3
	pageDescriptor    = 4
)

type executor struct {
	plan   Plan
	conn   *control.Conn
	fabric *fabric.Executor
	attack *attack // nil: none
	frames int     // of the plan's type
}

// Run is the life of an executor with a plan.
func Run(plan string) error {
	e := &executor{}
	if err := json.Unmarshal([]byte(plan), &e.plan); err != nil {
		return fmt.Errorf("hostile: the plan %q: %w", plan, err)
	}
	unix.CloseOnExec(controlDescriptor)
	unix.CloseOnExec(pageDescriptor)
	var err error
	if e.conn, err = control.FromFile(os.NewFile(controlDescriptor, "control connection")); err != nil {
		return err
	}
	if e.fabric, err = fabric.NewExecutor(os.NewFile(pageDescriptor, "stats page")); err != nil {
		return err
	}
	for {
		frame, err := e.conn.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.answer(frame); err != nil {
			return err
		}
		frame.Close()
	}
}

func (e *executor) answer(frame *control.Frame) error {
	if frame.Type == e.plan.On && e.plan.Control != "" {
		e.frames++
		if e.frames > e.plan.After {
			done, err := e.misbehave(frame)
			if done || err != nil {
				return err
			}
		}
	}
	kind, body, err := e.obey(frame)
	if err != nil {
		kind, body = control.TypeFailed, &control.Failed{Code: control.CodeInvalid, Text: err.Error()}
	}
	return e.conn.Send(kind, frame.Call, frame.Executor, body)
}

// obey does what an honest executor does.
func (e *executor) obey(frame *control.Frame) (kind string, body any, err error) {
	switch frame.Type {
	case control.TypeStart:
		body, err = e.start(frame)
		return control.TypeStarted, body, err
	case control.TypeOpen:
		body, err = e.open(frame)
		return control.TypeOpened, body, err
	case control.TypeMap:
		body, err = e.mapRegion(frame)
		return control.TypeMapped, body, err
	case control.TypeUnmap:
		var u control.Unmap
		if err = frame.Decode(&u); err == nil {
			err = e.fabric.Unmap(u.Region)
		}
		return control.TypeUnmapped, u, err
	case control.TypeProgress:
		begun, running := e.fabric.Progress()
		return control.TypeProgress, control.Progress{Begun: begun, Running: running}, nil
	}
	return "", nil, fmt.Errorf("hostile: frames of type %q", frame.Type)
}

func (e *executor) start(frame *control.Frame) (*control.Started, error) {
	var start control.Start
	if err := frame.Decode(&start); err != nil {
		return nil, err
	}
	if len(e.plan.Only) > 0 && !slices.Contains(e.plan.Only, start.Index) {
		e.plan = Plan{}
	}
	e.fabric.SetHotTimeout(start.HotTimeout)
	functions, err := e.fabric.Load(start.Library, nil)
	if err != nil {
		return nil, err
	}
	started := &control.Started{}
	for _, f := range functions {
		started.Functions = append(started.Functions, control.Function{Name: f.Name, ABI: f.ABI})
	}
	return started, nil
}

func (e *executor) open(frame *control.Frame) (*control.Opened, error) {
	var open control.Open
	if err := frame.Decode(&open); err != nil {
		return nil, err
	}
	var files *fabric.RingFiles
	if len(frame.Files) == 2 {
		files = &fabric.RingFiles{Memory: frame.Files[0], Doorbell: frame.Files[1]}
		frame.Files = nil
	}
	opened := &control.Opened{Wire: fabric.WireVersion}
	var endpoint *fabric.Endpoint
	var err error
	if open.Transport == fabric.Ring {
		if e.plan.Ring != "" {
			if e.attack, err = newAttack(e.plan, *files, open.Slots); err != nil {
				return nil, err
			}
		}
		endpoint, err = e.fabric.OpenRing(*files, open.Slots)
	} else {
		endpoint, opened.Name, err = e.fabric.ListenOFI(fabric.OFIListen{
			Transport: open.Transport, Provider: open.Provider, Address: open.Address, Nonce: open.Nonce, Slots: open.Slots, Bells: files,
		})
	}
	if err == nil {
		err = endpoint.Inject(e.plan.Faults)
	}
	if err != nil {
		return nil, err
	}
	go func() {
		_ = e.fabric.Serve(endpoint, 0) // the client finds out
		os.Exit(1)
	}()
	if e.attack != nil {
		go e.attack.run()
	}
	return opened, nil
}

func (e *executor) mapRegion(frame *control.Frame) (*control.Mapped, error) {
	var m control.Map
	if err := frame.Decode(&m); err != nil {
		return nil, err
	}
	var file *os.File
	if len(frame.Files) == 1 {
		file, frame.Files = frame.Files[0], nil
		if e.attack != nil {
			if err := e.attack.region(file); err != nil {
				return nil, err
			}
		}
	}
	mirror, err := e.fabric.Map(m.Region, m.Size, m.ReadOnly, file, fabric.RemoteMemory{Address: m.Address, Key: m.Key})
	if err != nil {
		return nil, err
	}
	return &control.Mapped{Region: m.Region, Address: mirror.Address, Key: mirror.Key}, nil
}

// misbehave does the plan's wrong instead of answering; done: nothing else is to be sent.
func (e *executor) misbehave(frame *control.Frame) (done bool, err error) {
	raw := e.conn.Stream()
	switch e.plan.Control {
	case Silent:
	case Garbage:
		_, err = raw.Write([]byte("\x00\x00\x00\x08}{ not j"))
	case Huge:
		_, err = raw.Write([]byte("\xff\xff\xff\xff"))
	case Wrong:
		err = e.conn.Send(control.TypeBeat+"s", frame.Call, frame.Executor, []int{-1})
	case Mistaken:
		for call := range uint64(1000) {
			if err = e.conn.Send(control.TypeFailed, frame.Call+call+1, 1<<40, &control.Failed{Code: "?", Text: "\x1b[2J"}); err != nil {
				return true, err
			}
		}
		return false, nil // and now the real one
	case Closed:
		if err = raw.Close(); err != nil {
			return true, err
		}
		select {}
	case Stopped:
		err = unix.Kill(os.Getpid(), unix.SIGSTOP)
	case Lie:
		err = e.conn.Send(control.TypeProgress, frame.Call, frame.Executor, control.Progress{})
	}
	return true, err
}
