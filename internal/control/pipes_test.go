package control

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// Frames go through two pipes as through a socket, but no descriptors; and the end of one pipe is the end.
func TestPipes(t *testing.T) {
	pipe := func() (*os.File, *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	toThem, fromUs := pipe()
	toUs, fromThem := pipe()
	us, them := NewPipes(toUs, fromUs), NewPipes(toThem, fromThem)
	defer us.Close()
	if us.PassesDescriptors() {
		t.Error("pipes are said to pass descriptors")
	}
	sent := make(chan error, 1)
	go func() { // more than a pipe holds
		sent <- us.Send(TypeOpen, 7, 0, Open{Transport: "ring", Nonce: []byte(strings.Repeat("n", 100_000))})
	}()
	frame, err := them.Receive()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	var open Open
	if err == nil {
		err = frame.Decode(&open)
	}
	if err != nil || frame.Call != 7 || len(open.Nonce) != 100_000 {
		t.Errorf("%+v, %v", frame, err)
	}
	if err := us.Send(TypeOpen, 8, 0, nil, toUs); err == nil || !strings.Contains(err.Error(), "only be passed on one host") {
		t.Errorf("a descriptor: %v", err)
	}
	them.Close()
	if _, err := us.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the other end's end: %v", err)
	}
}
