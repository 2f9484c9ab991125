package offload_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// A buffer that was freed is not an empty one.
func TestFreedBufferIsRefused(t *testing.T) {
	s := session(t)
	l := lease(t, s, 1)
	in, out := offload.Alloc[byte](s, 10), offload.Alloc[byte](s, 10)
	empty := offload.Alloc[byte](s, 0)
	_, err := l.Invoke(within(t), "echo", empty, out).Wait(within(t))
	check(t, err)
	check(t, in.Free())
	check(t, in.Free()) // does nothing
	check(t, empty.Free())
	for _, freed := range []*offload.Buffer[byte]{in, empty} {
		if size, err := l.Invoke(within(t), "echo", freed, out).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("a freed input: %d bytes, %v", size, err)
		}
		if size, err := l.Invoke(within(t), "echo", out, freed).Wait(within(t)); !errors.Is(err, offload.ErrClosed) {
			t.Errorf("a freed output: %d bytes, %v", size, err)
		}
	}
	check(t, out.Free()) // it is not lent
}

// Regions are numbered by each session: another one's buffer must not stand for the own of that number.
func TestBufferOfAnotherSessionIsRefused(t *testing.T) {
	s := session(t)
	other, err := offload.Connect(within(t))
	check(t, err)
	defer func() { check(t, other.Close()) }()
	l := lease(t, s, 1)
	in, out := offload.Alloc[byte](s, 100), offload.Alloc[byte](s, 100)
	_, err = l.Invoke(within(t), "echo", in, out).Wait(within(t))
	check(t, err)
	foreign := offload.Alloc[byte](other, 100)
	constant, err := other.Constant([]byte("constant"))
	check(t, err)
	for what, f := range map[string]offload.Future{
		"input":    l.Invoke(within(t), "echo", foreign, out),
		"output":   l.Invoke(within(t), "echo", in, foreign),
		"constant": l.Invoke(within(t), "add", in, out, constant),
	} {
		if _, err := f.Wait(within(t)); err == nil || !strings.Contains(err.Error(), "another session") {
			t.Errorf("another session's %s: %v", what, err)
		}
	}
	check(t, foreign.Free())
}
