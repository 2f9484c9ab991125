package control

import (
	"errors"
	"io"
	"net"
	"time"
)

// NewPipes makes a control connection of two streams, one for each direction, which it owns from
// then on: those that a program started by ssh or srun has. They carry no descriptors, and Receive
// fails only when they end.
func NewPipes(in io.ReadCloser, out io.WriteCloser) *Conn { return New(&pipes{in, out}) }

// pipes are a net.Conn as far as Conn uses one.
type pipes struct {
	in  io.ReadCloser
	out io.WriteCloser
}

func (p *pipes) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pipes) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p *pipes) Close() error                { return errors.Join(p.out.Close(), p.in.Close()) }

func (p *pipes) LocalAddr() net.Addr  { return pipesAddress{} }
func (p *pipes) RemoteAddr() net.Addr { return pipesAddress{} }

func (p *pipes) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (p *pipes) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (p *pipes) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

type pipesAddress struct{}

func (pipesAddress) Network() string { return "pipes" }
func (pipesAddress) String() string  { return "pipes" }
