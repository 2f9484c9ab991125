package api

import "fmt"

// Code says what kind of refusal an Error is.
type Code string

// Error is what the resource manager refuses, and the body of its answer.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

// Is finds errors by their code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code && other.Text == ""
}

// Refusals, for errors.Is.
var (
	// ErrNoCapacity: too few cores are free; the text says how many, and who has the others.
	ErrNoCapacity = &Error{Code: "no-capacity"}
	// ErrUnknownLease: the lease has ended, or never was.
	ErrUnknownLease = &Error{Code: "unknown-lease"}
	// ErrUnknownNode: no manager is registered by that name; one that is told so registers again.
	ErrUnknownNode = &Error{Code: "unknown-node"}
	// ErrUnknownAccount: no lease of that account has been billed.
	ErrUnknownAccount = &Error{Code: "unknown-account"}
	// ErrQuota: the account has as many cores as it may have, or has used what it may use.
	ErrQuota = &Error{Code: "quota"}
	// ErrExists: another manager has that name.
	ErrExists = &Error{Code: "exists"}
	// ErrInUse: the node has leases, and is not removed without force.
	ErrInUse = &Error{Code: "in-use"}
	// ErrRemoved: somebody has removed the node; a manager that is told so ends.
	ErrRemoved = &Error{Code: "removed"}
	// ErrUnauthorized: the token is not the resource manager's, or the user is another.
	ErrUnauthorized = &Error{Code: "unauthorized"}
	// ErrForbidden: the token is of a role that may not ask for this.
	ErrForbidden = &Error{Code: "forbidden"}
	// ErrTooMany: too many requests without a token have come from that address.
	ErrTooMany = &Error{Code: "too-many"}
	// ErrVersion: the two ends are of different versions.
	ErrVersion = &Error{Code: "version"}
	// ErrInvalid: the request makes no sense.
	ErrInvalid = &Error{Code: "invalid"}
	// ErrUnavailable: the resource manager is ending.
	ErrUnavailable = &Error{Code: "unavailable"}
	// ErrInternal: a defect of ours.
	ErrInternal = &Error{Code: "internal"}
)

// Because makes an error of a kind.
func Because(kind *Error, format string, args ...any) *Error {
	return &Error{Code: kind.Code, Text: fmt.Sprintf(format, args...)}
}

// Unreachable says that the resource manager of a run directory does not answer.
type Unreachable struct {
	Directory string
	URL       string
	Err       error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("the resource manager at %s, which %s names, does not answer: %v; start it again, or remove that file if it is no more", e.URL, accessPath(e.Directory), e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }
