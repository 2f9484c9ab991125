package fabric_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// A function's child ends with the executor, also if that has ended before the child could ask for it.
func TestForkedAsTheExecutorDies(t *testing.T) {
	for range 10 {
		p := startPeer(t, transports[0], peerOptions{slots: 1, hot: -1})
		path := filepath.Join(t.TempDir(), "pipe")
		check(t, unix.Mkfifo(path, 0o600))
		pipe, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		check(t, err)
		t.Cleanup(func() { pipe.Close() })
		in := p.region(fabric.Buffers, unix.PathMax)
		copy(in.memory.Bytes(), path+"\x00")
		_, err = p.client.Submit(&fabric.Request{Function: p.functions["fork_and_die"], Input: in.payload(0, len(path)+1)})
		check(t, err)
		select {
		case <-p.exited:
		case <-time.After(patience):
			t.Fatal("it goes on")
		}
		// The end of file comes when nobody has the pipe any more.
		check(t, pipe.SetReadDeadline(time.Now().Add(patience)))
		if _, err := pipe.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("its child lives on: %v", err)
		}
	}
}
