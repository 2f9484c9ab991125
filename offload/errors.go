package offload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// Errors that say what to do next rather than what happened where; test for them with errors.Is.
var (
	// ErrClosed: the session, lease or buffer was closed or released before.
	ErrClosed = errors.New("offload: closed")
	// ErrNoCapacity: there are not enough free cores, or the account may not have them; the error's text says
	// what is missing.
	ErrNoCapacity = errors.New("offload: no capacity")
	// ErrUnknownFunction: the library exports no function of that name.
	ErrUnknownFunction = errors.New("offload: unknown function")
	// ErrOutputTooSmall: the function's output did not fit into the buffer.
	ErrOutputTooSmall = errors.New("offload: output too small")
	// ErrPayloadTooLarge: an executor can not take what an invocation names; the error's text says how
	// much it is, what the limit is, and which option lifts it.
	ErrPayloadTooLarge = errors.New("offload: payload too large")
	// ErrBufferBusy: an invocation that has not ended may still use the buffer.
	ErrBufferBusy = errors.New("offload: buffer in use")
	// ErrBusy: TryInvoke would have had to wait.
	ErrBusy = errors.New("offload: busy")
	// ErrDeadline: the deadline of Invoke's context passed before the invocation had ended.
	ErrDeadline = errors.New("offload: deadline exceeded")
	// ErrPoison: the same input ended two executors; errors.As finds the *ExecutorLost of the second.
	ErrPoison = errors.New("offload: poison")
	// ErrWaited: a Wait has returned the invocation's result before, or the Future stands for none.
	ErrWaited = errors.New("offload: the result of this invocation was returned by an earlier Wait")
	// ErrVersion: the two ends are of different versions.
	ErrVersion = errors.New("offload: versions differ")
)

// classified is an error with a text of its own that errors.Is finds under one of the above.
type classified struct {
	class error
	text  string
	cause error // may be nil
}

func (e *classified) Error() string        { return e.text }
func (e *classified) Is(target error) bool { return target == e.class }
func (e *classified) Unwrap() error        { return e.cause }

func classify(class error, format string, args ...any) error {
	return &classified{class: class, text: fmt.Sprintf(format, args...)}
}

// FunctionError is a function's own failure: it ran and returned an error.
type FunctionError struct {
	Function string
	Executor string // which one ran it
	Code     int    // what the function returned, at least 1
	Text     string // what it wrote, may be empty
}

func (e *FunctionError) Error() string {
	text := fmt.Sprintf("function %s on %s failed with code %d", e.Function, e.Executor, e.Code)
	if e.Text != "" {
		text += ": " + printable(e.Text)
	}
	return text
}

// printable shows what could move a terminal's cursor as what it is.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	return strconv.Quote(text)
}

// Cause says what kind of end an executor had.
type Cause string

// Causes of the loss of an executor.
const (
	// LostSignal: a signal ended it, ExecutorLost.Signal.
	LostSignal Cause = "signal"
	// LostExit: it exited, with ExecutorLost.ExitCode.
	LostExit Cause = "exit"
	// LostMemory: it came to the end of its memory, ExecutorLost.Memory.
	LostMemory Cause = "out of memory"
	// LostStopped: it was ended on purpose: an invocation ran past its deadline, or it broke the protocol,
	// or a function closed its control connection.
	LostStopped Cause = "stopped"
	// LostManager: its executor manager is gone, and it with it.
	LostManager Cause = "executor manager lost"
	// LostDrained: its executor manager was told to end, by SIGTERM, say.
	LostDrained Cause = "drained"
	// LostTimeLimit: the time limit of its lease, Want.TimeLimit, is over.
	LostTimeLimit Cause = "time limit"
	// LostNode: nothing is heard of its node any more.
	LostNode Cause = "node lost"
)

// ExecutorLost says that the executor went away before it answered. The invocation may have run in
// part, or wholly; its buffers are the caller's again.
type ExecutorLost struct {
	Executor string
	Cause    Cause
	// Signal that ended the executor, 0 if it exited; ExitCode then.
	Signal   unix.Signal
	ExitCode int
	// Function that ran when it ended, empty if none did or nobody could tell.
	Function string
	// ExitCalled: that function called exit.
	ExitCalled bool
	// Memory is how many bytes it had; Want.Memory lifts that.
	Memory int64
	// Reason says more where the executor itself was not to blame.
	Reason string
	// Unreplaced is why there is no other in its place, where that is known.
	Unreplaced string
}

// unreplaced is a loss with the reason why nothing came of a replacement.
func unreplaced(loss error, reason string) error {
	var lost *ExecutorLost
	if reason == "" || !errors.As(loss, &lost) {
		return loss
	}
	told := *lost
	told.Unreplaced = reason
	return &told
}

// isCrash tells whether the function that ran may have ended the executor: signals that others
// send, or that the kernel sends to whom it chooses, do not count.
func (e *ExecutorLost) isCrash() bool {
	switch e.Cause {
	case LostSignal:
		return e.Signal != unix.SIGKILL && e.Signal != unix.SIGTERM && e.Signal != unix.SIGINT && e.Signal != unix.SIGHUP
	case LostExit, LostMemory:
		return true
	}
	return false
}

func (e *ExecutorLost) Error() string {
	var how string
	switch {
	case e.Reason != "":
		how = e.Reason
	case e.Signal != 0:
		how = fmt.Sprintf("ended by signal %d (%s)", int(e.Signal), unix.SignalName(e.Signal))
	case e.ExitCalled:
		how = fmt.Sprintf("called exit(%d)", e.ExitCode)
	case e.ExitCode == 2: // with which a Go process ends itself, too
		how = fmt.Sprintf("exited with status 2: by _exit, or because functions left it no memory (limit %s; Want.Memory lifts it)", bytesize.Format(e.Memory))
	default:
		how = fmt.Sprintf("exited with status %d", e.ExitCode)
	}
	if e.Function != "" {
		how += " in function " + e.Function
	}
	if e.Cause == LostMemory {
		how = outOfMemory(e.Memory) + ", " + how
	}
	if e.Unreplaced != "" {
		how += "; it was not replaced: " + printable(e.Unreplaced)
	}
	return fmt.Sprintf("%s was lost: %s", e.Executor, how)
}

// poison is the error of an input that has ended as many executors as it may.
func poison(function string, last *ExecutorLost) error {
	return &classified{
		class: ErrPoison, cause: last,
		text: fmt.Sprintf("function %s ended %d executors with the same input and is not run again: %v", function, maxCrashes, last),
	}
}

func outOfMemory(limit int64) string {
	if limit == 0 {
		return "out of memory"
	}
	return fmt.Sprintf("out of memory (limit %s; Want.Memory lifts it)", bytesize.Format(limit))
}

func unknownFunction(name, library string, known []string) error {
	const most = 20
	more := ""
	if len(known) > most {
		more = fmt.Sprintf(" and %d more", len(known)-most)
		known = known[:most]
	}
	return classify(ErrUnknownFunction, "function library %s has no function %q; it has %s%s", library, name, strings.Join(known, ", "), more)
}
