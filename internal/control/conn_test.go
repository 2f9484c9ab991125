package control_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/internal/control"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair returns the two ends of a Unix socket.
func pair(t testing.TB) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(file)
		check(t, err)
		check(t, file.Close())
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

func connections(t testing.TB) (*control.Conn, *control.Conn) {
	t.Helper()
	a, b := pair(t)
	return control.New(a), control.New(b)
}

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := connections(t)
		type body struct{ Text string }
		frames := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) control.Frame {
			text := rapid.OneOf(rapid.String(), rapid.Map(rapid.IntRange(0, 200_000), func(n int) string { return strings.Repeat("x", n) })).Draw(rt, "text")
			raw, err := json.Marshal(body{text})
			if err != nil {
				rt.Fatal(err)
			}
			return control.Frame{
				Type: rapid.StringMatching(`[a-z]{1,10}`).Draw(rt, "type"), Call: rapid.Uint64().Draw(rt, "call"),
				Executor: rapid.IntRange(-1, 1000).Draw(rt, "executor"), Body: raw,
			}
		}), 1, 5).Draw(rt, "frames")
		sent := make(chan error, 1)
		go func() {
			for i := range frames {
				if err := a.Forward(&frames[i]); err != nil {
					sent <- err
					return
				}
			}
			sent <- a.Close()
		}()
		for i := range frames {
			got, err := b.Receive()
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(&frames[i], got); diff != "" {
				rt.Fatal(diff)
			}
		}
		if err := <-sent; err != nil {
			rt.Fatal(err)
		}
		if _, err := b.Receive(); !errors.Is(err, io.EOF) {
			rt.Fatalf("after the end: %v", err)
		}
	})
}

// Descriptors come with their own frame, also when several frames are on the way.
func TestDescriptorsBelongToTheirFrame(t *testing.T) {
	a, b := connections(t)
	for i, count := range []int{1, 0, 3, 2} {
		var files []*os.File
		for range count {
			file, err := os.CreateTemp(t.TempDir(), "")
			check(t, err)
			_, err = file.WriteString(strings.Repeat("x", i+1))
			check(t, err)
			files = append(files, file)
		}
		check(t, a.Send("files", uint64(i+1), 0, nil, files...))
		for _, file := range files {
			check(t, file.Close())
		}
	}
	for i, count := range []int{1, 0, 3, 2} {
		frame, err := b.Receive()
		check(t, err)
		if len(frame.Files) != count {
			t.Fatalf("frame %d came with %d descriptors instead of %d", i, len(frame.Files), count)
		}
		for _, file := range frame.Files {
			info, err := file.Stat()
			check(t, err)
			if info.Size() != int64(i+1) {
				t.Errorf("frame %d has another's file, of %d bytes", i, info.Size())
			}
			flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
			check(t, err)
			if flags&unix.FD_CLOEXEC == 0 {
				t.Error("a descriptor would be inherited")
			}
		}
		frame.Close()
	}
}

func TestFailedIsAnError(t *testing.T) {
	a, b := connections(t)
	check(t, a.Send(control.TypeFailed, 1, control.Manager, &control.Failed{Code: control.CodeNoCapacity, Text: "nothing is free"}))
	frame, err := b.Receive()
	check(t, err)
	var failed *control.Failed
	if err := frame.Decode(&control.Granted{}); !errors.As(err, &failed) || failed.Code != control.CodeNoCapacity || err.Error() != "nothing is free" {
		t.Errorf("decoded as %v", err)
	}
}

func framed(payload string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func TestGarbageEndsTheConnection(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"not JSON":            framed("hello"),
		"an array":            framed("[1]"),
		"empty":               framed(""),
		"too long":            binary.BigEndian.AppendUint32(nil, control.MaxFrame+1),
		"descriptors missing": framed(`{"type":"open","descriptors":3}`),
		"negative":            framed(`{"type":"open","descriptors":-1}`),
	} {
		a, b := pair(t)
		_, err := a.Write(bytes)
		check(t, err)
		var protocol *control.ProtocolError
		if _, err := control.New(b).Receive(); !errors.As(err, &protocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndInsideAFrame(t *testing.T) {
	whole := framed(`{"type":"hello"}`)
	for n := 1; n < len(whole); n++ {
		a, b := pair(t)
		_, err := a.Write(whole[:n])
		check(t, err)
		check(t, a.Close())
		if _, err := control.New(b).Receive(); err == nil {
			t.Fatalf("%d of %d bytes were a frame", n, len(whole))
		}
	}
}

func TestLimitsOfSending(t *testing.T) {
	a, _ := connections(t)
	if err := a.Send("big", 0, 0, strings.Repeat("x", control.MaxFrame)); err == nil {
		t.Error("a frame above the limit was sent")
	}
	if err := a.Send("many", 0, 0, nil, make([]*os.File, control.MaxDescriptors+1)...); err == nil {
		t.Error("too many descriptors were sent")
	}
	c, d := net.Pipe()
	defer c.Close()
	defer d.Close()
	if err := control.New(c).Send("file", 0, 0, nil, os.Stderr); err == nil {
		t.Error("a descriptor was sent where that can not be")
	}
}

// Descriptors that nobody asked for do not stay open.
func TestUnwantedDescriptorsAreClosed(t *testing.T) {
	r, w, err := os.Pipe()
	check(t, err)
	a, b := pair(t)
	_, _, err = a.WriteMsgUnix(framed("no JSON"), unix.UnixRights(int(w.Fd())), nil)
	check(t, err)
	check(t, w.Close())
	if _, err := control.New(b).Receive(); err == nil {
		t.Fatal("garbage was a frame")
	}
	check(t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the pipe's other end is open: %v", err)
	}
}

// Whatever comes, Receive returns frames or an error.
func FuzzReceive(f *testing.F) {
	f.Add(framed(`{"type":"hello","call":1,"executor":-1,"body":{"protocol":1}}`))
	f.Add(append(framed(`{}`), framed(`{"type":"x","descriptors":1}`)...))
	f.Add([]byte{0, 0, 0, 2, '{'})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(_ *testing.T, bytes []byte) {
		a, b := net.Pipe()
		go func() {
			_, _ = a.Write(bytes) // the reader may have given up
			a.Close()
		}()
		defer b.Close()
		conn := control.New(b)
		for {
			frame, err := conn.Receive()
			if err != nil {
				return
			}
			_ = frame.Decode(&control.Granted{}) // an error is as good as a value
		}
	})
}

// Descriptors that no frame announces are not collected without end.
func TestPendingDescriptorsAreBounded(t *testing.T) {
	a, stream := pair(t)
	b := control.New(stream)
	fds := make([]int, control.MaxDescriptors)
	null, err := os.Open(os.DevNull)
	check(t, err)
	defer null.Close()
	for i := range fds {
		fds[i] = int(null.Fd())
	}
	_, err = a.Write(binary.BigEndian.AppendUint32(nil, control.MaxFrame)) // a frame that does not end
	check(t, err)
	sent := make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			if _, _, err := a.WriteMsgUnix([]byte(" "), unix.UnixRights(fds...), nil); err != nil {
				sent <- n
				return
			}
			if n == 100 {
				a.Close()
			}
		}
	}()
	_, err = b.Receive()
	var broken *control.ProtocolError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "no frame announces") {
		t.Errorf("after descriptors without a frame: %v", err)
	}
	check(t, b.Close())
	<-sent
}
