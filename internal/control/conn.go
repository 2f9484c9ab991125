package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxFrame is the most bytes that a frame's JSON may have.
	MaxFrame = 1 << 20
	// MaxDescriptors is the most descriptors that a frame may carry: SCM_RIGHTS takes 253.
	MaxDescriptors = 250
	// maxPending is how many may have come before their frames have: a read brings those of one, and may
	// find others that have not been looked at. Without it a peer could fill our table of files.
	maxPending = 4 * MaxDescriptors
)

// Frame is one message.
type Frame struct {
	Type string `json:"type"`
	// Call is the number of a request, repeated by its reply; 0 where none is expected.
	Call uint64 `json:"call,omitempty"`
	// Executor is the index within the lease, or Manager.
	Executor int `json:"executor"`
	// Process is the PID of the executor's process that is meant, 0 for any: what was meant for
	// one that has died must not reach its replacement.
	Process int `json:"process,omitempty"`
	// Descriptors is how many come with the frame.
	Descriptors int             `json:"descriptors,omitempty"`
	Body        json.RawMessage `json:"body,omitempty"`
	// Files are the descriptors themselves.
	Files []*os.File `json:"-"`
}

// Decode reads the frame's body into v; a Failed frame becomes its error instead.
func (f *Frame) Decode(v any) error {
	if f.Type == TypeFailed {
		failed := &Failed{}
		if err := json.Unmarshal(f.Body, failed); err != nil {
			return &ProtocolError{Reason: "the body of a failed frame: " + err.Error()}
		}
		return failed
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(f.Body, v); err != nil {
		return &ProtocolError{Reason: fmt.Sprintf("the body of a %s frame: %v", f.Type, err)}
	}
	return nil
}

// Close closes the descriptors that came with the frame and were not taken.
func (f *Frame) Close() {
	for _, file := range f.Files {
		file.Close()
	}
	f.Files = nil
}

// ProtocolError says that the peer sent something that this package does not send.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "control connection: " + e.Reason }

// Conn is one end of a control connection.
type Conn struct {
	stream net.Conn
	unix   *net.UnixConn // nil where descriptors can not be passed

	silence time.Duration // after which the peer counts as dead; 0: never
	closing sync.Once
	closed  chan struct{}

	sending sync.Mutex

	received []byte // bytes read and not yet used
	files    []*os.File
	chunk    []byte
	control  []byte
}

// New makes a control connection of a stream, which it owns from then on.
func New(stream net.Conn) *Conn {
	c := &Conn{stream: stream, chunk: make([]byte, 16<<10), closed: make(chan struct{})}
	if u, ok := stream.(*net.UnixConn); ok {
		c.unix = u
		c.control = make([]byte, unix.CmsgSpace(4*MaxDescriptors))
	}
	return c
}

// FromFile makes a control connection of an inherited socket; it closes file.
func FromFile(file *os.File) (*Conn, error) {
	stream, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("control connection on an inherited descriptor: %w", err)
	}
	return New(stream), nil
}

// PassesDescriptors tells whether the connection is a Unix socket: both ends are on one host.
func (c *Conn) PassesDescriptors() bool { return c.unix != nil }

// Stream is the connection below, for deadlines and the peer's credentials.
func (c *Conn) Stream() net.Conn { return c.stream }

// Close ends the connection; a Receive that waits returns with net.ErrClosed.
func (c *Conn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return below(c.stream).Close() // TLS would first say so, and wait for a peer that does not read
}

// discard closes descriptors that came and that no frame will claim.
func (c *Conn) discard() {
	for _, file := range c.files {
		file.Close()
	}
	c.files = nil
}

// Send sends one frame with a body and descriptors. body may be nil.
func (c *Conn) Send(kind string, call uint64, executor int, body any, files ...*os.File) error {
	return c.SendFrame(&Frame{Type: kind, Call: call, Executor: executor, Files: files}, body)
}

// SendFrame is Send for frames of which more is to be said; it sets the body, which may be nil.
func (c *Conn) SendFrame(frame *Frame, body any) error {
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("control connection: encoding a %s frame: %w", frame.Type, err)
		}
		frame.Body = raw
	}
	return c.Forward(frame)
}

// Forward sends a frame as it is; its Files stay the caller's.
func (c *Conn) Forward(frame *Frame) error {
	if len(frame.Files) > 0 && c.unix == nil {
		return errors.New("control connection: descriptors can only be passed on one host")
	}
	if len(frame.Files) > MaxDescriptors {
		return fmt.Errorf("control connection: %d descriptors in a frame, at most %d", len(frame.Files), MaxDescriptors)
	}
	sent := *frame
	sent.Descriptors = len(frame.Files)
	payload, err := json.Marshal(&sent)
	if err != nil {
		return fmt.Errorf("control connection: encoding a %s frame: %w", frame.Type, err)
	}
	if len(payload) > MaxFrame {
		return fmt.Errorf("control connection: a %s frame of %d bytes, at most %d", frame.Type, len(payload), MaxFrame)
	}
	message := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(payload)), uint32(len(payload)))
	message = append(message, payload...)

	c.sending.Lock()
	defer c.sending.Unlock()
	if len(frame.Files) == 0 {
		_, err = c.stream.Write(message)
		return err
	}
	fds := make([]int, len(frame.Files))
	for i, file := range frame.Files {
		if fds[i], err = number(file); err != nil {
			return fmt.Errorf("control connection: passing %s: %w", file.Name(), err)
		}
	}
	n, _, err := c.unix.WriteMsgUnix(message, unix.UnixRights(fds...), nil)
	runtime.KeepAlive(frame.Files)
	if err == nil && n < len(message) {
		_, err = c.unix.Write(message[n:])
	}
	return err
}

// number is a file's descriptor. (Fd would do, but it makes a file blocking.)
func number(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = raw.Control(func(number uintptr) { fd = int(number) })
	return fd, err
}

// Receive returns the next frame. The end of the peer is io.EOF; after any error the connection
// is of no more use.
func (c *Conn) Receive() (*Frame, error) {
	for {
		frame, err := c.receive()
		if err != nil {
			c.discard()
			return nil, err
		}
		if frame.Type != TypeBeat {
			return frame, nil
		}
		frame.Close()
	}
}

func (c *Conn) receive() (*Frame, error) {
	if err := c.fill(4); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(c.received)
	if size > MaxFrame {
		return nil, &ProtocolError{Reason: fmt.Sprintf("a frame of %d bytes, at most %d", size, MaxFrame)}
	}
	if err := c.fill(4 + int(size)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	frame := &Frame{}
	err := json.Unmarshal(c.received[4:4+size], frame)
	c.received = c.received[:copy(c.received, c.received[4+size:])]
	if err != nil {
		return nil, &ProtocolError{Reason: "a frame that is not JSON: " + err.Error()}
	}
	if frame.Descriptors < 0 || frame.Descriptors > len(c.files) {
		return nil, &ProtocolError{Reason: fmt.Sprintf("a %s frame announces %d descriptors, %d came", frame.Type, frame.Descriptors, len(c.files))}
	}
	frame.Files = append([]*os.File(nil), c.files[:frame.Descriptors]...)
	c.files = c.files[:copy(c.files, c.files[frame.Descriptors:])]
	return frame, nil
}

// fill reads until at least n bytes are at hand.
func (c *Conn) fill(n int) error {
	for len(c.received) < n {
		read, err := c.read()
		c.received = append(c.received, c.chunk[:read]...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) read() (int, error) {
	if c.unix == nil {
		return c.readStream()
	}
	n, controlSize, flags, _, err := c.unix.ReadMsgUnix(c.chunk, c.control)
	n = max(n, 0) // -1 comes with an error
	if controlSize > 0 {
		if adoptErr := c.adopt(c.control[:controlSize]); adoptErr != nil {
			return n, adoptErr
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return n, &ProtocolError{Reason: "descriptors were lost: too many at once, or the limit of open files is reached (ulimit -n)"}
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (c *Conn) readStream() (int, error) {
	if c.silence == 0 {
		return c.stream.Read(c.chunk)
	}
	if err := c.stream.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	n, err := c.stream.Read(c.chunk)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &Silence{Peer: c.stream.RemoteAddr().String(), Limit: SilenceLimit}
	case errors.Is(err, unix.ETIMEDOUT):
		err = &Silence{Peer: c.stream.RemoteAddr().String(), Limit: NetworkLimit}
	}
	return n, err
}

// adopt takes over the descriptors of a control message; Go has set close-on-exec on them.
func (c *Conn) adopt(raw []byte) error {
	messages, err := unix.ParseSocketControlMessage(raw)
	if err != nil {
		return &ProtocolError{Reason: "a control message: " + err.Error()}
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			c.files = append(c.files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	if len(c.files) > maxPending {
		return &ProtocolError{Reason: fmt.Sprintf("%d descriptors came that no frame announces", len(c.files))}
	}
	return nil
}
