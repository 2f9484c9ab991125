package ledger

import "errors"

// Why a command was refused; see also [NoCapacity].
var (
	ErrUnknown  = errors.New("there is no such")
	ErrExists   = errors.New("there is one already")
	ErrInvalid  = errors.New("this makes no sense")
	ErrDraining = errors.New("the node drains")
	ErrInUse    = errors.New("the node is in use")
	ErrUser     = errors.New("the node serves another user")
)

// refusal is an error text of its own that errors.Is finds by its kind.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }
