package executor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Descriptors that an executor inherits.
const (
	ControlDescriptor = 3
	PageDescriptor    = 4
)

// executor is the process's state; only the goroutine that receives frames uses it.
type executor struct {
	conn      *control.Conn
	fabric    *fabric.Executor
	stackSize int64
	serving   bool
	log       *slog.Logger
}

// Options of an executor process.
type Options struct {
	// Spare is started before there is a lease for it: it says when it is ready, and is told with its
	// task what it would have inherited.
	Spare bool
	// Libfabric is loaded by a spare before it is ready.
	Libfabric bool
	Log       *slog.Logger
}

// processors is how many threads of Go run at once, however many cores the executor has. With one, the loop, which
// stays in C for ever, would leave the rest none; with more than it takes to answer the manager now and then, a
// collection of garbage could want more threads than were set aside before functions were bounded
// (fabric.Executor.Provision).
const processors = 2

// Run is the life of an executor process, on the descriptors that it inherited. It returns nil
// when the manager has ended the connection, and a *control.Failed that the manager was told.
func Run(options Options) error {
	runtime.GOMAXPROCS(processors)
	conn, err := inherit()
	if err != nil {
		return err
	}
	defer conn.Close()
	core, err := fabric.NewExecutor(os.NewFile(PageDescriptor, "stats page"))
	if err != nil {
		return err
	}
	e := &executor{conn: conn, fabric: core, log: options.Log}
	if options.Spare {
		if err := e.prepare(options.Libfabric); err != nil {
			return err
		}
	}
	if err := e.start(); err != nil {
		if options.Spare && errors.Is(err, io.EOF) {
			return nil // it was not needed
		}
		return err
	}
	for {
		frame, err := conn.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("executor: the connection to its manager: %w", err)
		}
		e.answer(frame)
		frame.Close()
	}
}

func inherit() (*control.Conn, error) {
	// A function's children must not keep what would tell others that we are gone.
	unix.CloseOnExec(ControlDescriptor)
	unix.CloseOnExec(PageDescriptor)
	conn, err := control.FromFile(os.NewFile(ControlDescriptor, "control connection"))
	if err != nil {
		return nil, fmt.Errorf("executor: descriptor %d is not a control connection; executors are started by executor managers, not by hand: %w", ControlDescriptor, err)
	}
	return conn, nil
}

// start receives the first frame and loads the library.
func (e *executor) start() error {
	frame, err := e.conn.Receive()
	if err != nil {
		return fmt.Errorf("executor: waiting for its task: %w", err)
	}
	defer frame.Close()
	var start control.Start
	if err := frame.Decode(&start); err != nil {
		return err
	}
	if frame.Type != control.TypeStart {
		return &control.ProtocolError{Reason: "the first frame of an executor is a " + frame.Type}
	}
	e.log = e.log.With("lease", start.Lease, "executor", start.Index)
	if err := become(&start, frame); err != nil {
		failed := &control.Failed{Code: control.CodeStart, Text: err.Error()}
		e.reply(frame, control.TypeFailed, failed)
		return failed
	}
	e.stackSize = start.StackSize
	e.fabric.SetHotTimeout(start.HotTimeout)
	if err := e.fabric.SetMemory(start.Memory); err != nil {
		failed := &control.Failed{Code: control.CodeStart, Text: err.Error()}
		e.reply(frame, control.TypeFailed, failed)
		return failed
	}
	library, err := content(&start, frame)
	if err != nil {
		return err
	}
	functions, err := e.fabric.Load(start.Library, library)
	if err != nil {
		failed := &control.Failed{Code: control.CodeLibrary, Text: err.Error()}
		e.reply(frame, control.TypeFailed, failed)
		return failed
	}
	started := control.Started{Functions: make([]control.Function, len(functions))}
	for i, f := range functions {
		started.Functions[i] = control.Function{Name: f.Name, ABI: f.ABI}
	}
	err = e.conn.Send(control.TypeStarted, frame.Call, start.Index, started)
	// While manager and client are busy with that:
	if start.Memory > 0 {
		e.fabric.Provision()
	}
	if start.Libfabric {
		e.fabric.PreloadLibfabric()
	}
	return err
}

// reply answers a frame; if the connection is gone, the next Receive says so.
func (e *executor) reply(request *control.Frame, kind string, body any) {
	if err := e.conn.Send(kind, request.Call, request.Executor, body); err != nil {
		e.log.Debug("a reply could not be sent", "type", kind, "error", err)
	}
}

// answer does what a frame asks for and replies.
func (e *executor) answer(frame *control.Frame) {
	defer e.fabric.MakeRoom()()
	var kind string
	var body any
	var err error
	switch frame.Type {
	case control.TypeOpen:
		kind = control.TypeOpened
		body, err = e.open(frame)
	case control.TypeMap:
		kind = control.TypeMapped
		body, err = e.mapRegion(frame)
	case control.TypeUnmap:
		kind = control.TypeUnmapped
		body, err = e.unmapRegion(frame)
	case control.TypeProgress:
		kind = control.TypeProgress
		body = e.progress()
	default:
		err = &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("an executor does not know frames of type %q", frame.Type)}
	}
	if err == nil {
		e.reply(frame, kind, body)
		return
	}
	var failed *control.Failed
	if !errors.As(err, &failed) {
		failed = &control.Failed{Code: control.CodeInvalid, Text: err.Error()}
	}
	e.reply(frame, control.TypeFailed, failed)
}

// open makes the executor's end of a transport and starts to serve it.
func (e *executor) open(frame *control.Frame) (*control.Opened, error) {
	var open control.Open
	if err := frame.Decode(&open); err != nil {
		return nil, err
	}
	if open.Wire != fabric.WireVersion {
		return nil, &control.Failed{Code: control.CodeVersion, Text: fmt.Sprintf("the client speaks wire version %d, this executor %d; use one version of Sublet on all nodes", open.Wire, fabric.WireVersion)}
	}
	if e.serving {
		return nil, &control.Failed{Code: control.CodeInvalid, Text: "this executor serves its client already"}
	}
	opened := &control.Opened{Wire: fabric.WireVersion}
	var endpoint *fabric.Endpoint
	var err error
	switch open.Transport {
	case fabric.Ring:
		files, filesErr := ringFiles(frame)
		if filesErr != nil {
			return nil, filesErr
		}
		endpoint, err = e.fabric.OpenRing(*files, open.Slots)
	case fabric.OFIWrite, fabric.OFISend:
		listen := fabric.OFIListen{Transport: open.Transport, Provider: open.Provider, Address: open.Address, Nonce: open.Nonce, Slots: open.Slots}
		if len(frame.Files) > 0 {
			if listen.Bells, err = ringFiles(frame); err != nil {
				return nil, err
			}
		}
		endpoint, opened.Name, err = e.fabric.ListenOFI(listen)
	default:
		return nil, &control.Failed{Code: control.CodeTransport, Text: fmt.Sprintf("this executor does not have the transport %q", open.Transport)}
	}
	if err != nil {
		return nil, &control.Failed{Code: control.CodeTransport, Text: err.Error()}
	}
	e.serving = true
	go e.serve(endpoint)
	return opened, nil
}

// ringFiles takes the descriptors of a ring, or of the doorbells of a provider that needs them.
func ringFiles(frame *control.Frame) (*fabric.RingFiles, error) {
	if len(frame.Files) != 2 {
		return nil, fmt.Errorf("a ring, or doorbells, come with 2 descriptors, not %d", len(frame.Files))
	}
	files := &fabric.RingFiles{Memory: frame.Files[0], Doorbell: frame.Files[1]}
	frame.Files = nil
	return files, nil
}

// serve runs the hot loop. When it ends by itself the client is gone or broken, and so is what
// this process is for.
func (e *executor) serve(endpoint *fabric.Endpoint) {
	if err := e.fabric.Serve(endpoint, e.stackSize); err != nil && !errors.Is(err, fabric.ErrBroken) {
		e.log.Error("the executor's loop ended", "error", err)
	}
	os.Exit(1)
}

func (e *executor) mapRegion(frame *control.Frame) (*control.Mapped, error) {
	var m control.Map
	if err := frame.Decode(&m); err != nil {
		return nil, err
	}
	var file *os.File
	if len(frame.Files) == 1 {
		file, frame.Files = frame.Files[0], nil
	}
	mirror, err := e.fabric.Map(m.Region, m.Size, m.ReadOnly, file, fabric.RemoteMemory{Address: m.Address, Key: m.Key})
	if err != nil {
		failed := &control.Failed{Code: control.CodeLimit, Text: err.Error()}
		var limit *fabric.MemoryLimit
		if errors.As(err, &limit) {
			failed.Memory = int64(limit.Limit)
		}
		return nil, failed
	}
	return &control.Mapped{Region: m.Region, Address: mirror.Address, Key: mirror.Key}, nil
}

func (e *executor) unmapRegion(frame *control.Frame) (*control.Unmap, error) {
	var u control.Unmap
	if err := frame.Decode(&u); err != nil {
		return nil, err
	}
	return &u, e.fabric.Unmap(u.Region)
}

func (e *executor) progress() *control.Progress {
	begun, running := e.fabric.Progress()
	return &control.Progress{Begun: begun, Running: running, Loop: e.fabric.Loop().String()}
}
