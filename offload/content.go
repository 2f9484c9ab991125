package offload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/sublet-hpc/sublet/internal/control"
)

// content is what the lease's function library has on this host; nil: it is not here, and only the node's
// own file counts.
func (l *Lease) content() *control.Content {
	// A pipe that nobody writes to must not keep us here.
	file, err := os.OpenFile(l.want.Library, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return nil
	}
	return &control.Content{Hash: hex.EncodeToString(sum.Sum(nil)), Size: size}
}

// sendLibrary sends the function library to a node whose manager has asked for it.
func (s *site) sendLibrary(wanted control.Content) {
	if err := s.sendParts(wanted); err != nil {
		_ = s.link.conn.Send(control.TypePart, 0, control.Manager, control.ContentPart{Problem: err.Error()})
	}
}

func (s *site) sendParts(wanted control.Content) error {
	file, err := os.Open(s.lease.want.Library)
	if err != nil {
		return err
	}
	defer file.Close()
	data := make([]byte, control.MaxPart)
	for offset := int64(0); ; {
		n, err := io.ReadFull(io.LimitReader(file, wanted.Size-offset), data) // it may grow meanwhile
		if n > 0 {
			part := control.ContentPart{Offset: offset, Data: data[:n]}
			if err := s.link.conn.Send(control.TypePart, 0, control.Manager, part); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
			offset += int64(n)
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			if offset < wanted.Size {
				return fmt.Errorf("it has shrunk to %d bytes since the lease was asked for", offset)
			}
			return nil
		default:
			return err
		}
	}
}
