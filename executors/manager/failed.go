package manager

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// asFailed puts an error into what a client is told.
func asFailed(err error) *control.Failed {
	var failed *control.Failed
	if errors.As(err, &failed) {
		return failed
	}
	code := control.CodeInternal
	var broken *control.ProtocolError
	var missing *ledger.NoCapacity
	switch {
	case errors.As(err, &missing), errors.Is(err, ledger.ErrDraining):
		code = control.CodeNoCapacity
	case errors.As(err, &broken), errors.Is(err, ledger.ErrInvalid):
		code = control.CodeInvalid
	}
	return &control.Failed{Code: code, Text: err.Error()}
}

// isReset tells the errors of a connection whose other end was closed while something was on its way.
func isReset(err error) bool { return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) }
