package manager

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// Libraries of the stand-in: what it does instead of loading them.
const (
	libraryGood   = "/stand-in/good"
	libraryRefuse = "/stand-in/refuse"
	libraryExit   = "/stand-in/exit"
	libraryHang   = "/stand-in/hang"
	libraryBabble = "/stand-in/babble"
	libraryChild  = "/stand-in/child" // leaves a child behind that has its socket
	// libraryOnce can be loaded once; markFile says whether it has been.
	libraryOnce = "/stand-in/once"
	markFile    = "STAND_IN_MARK"
)

// standInMemory is the bound that it was told.
var standInMemory int64

// standIn speaks an executor's protocol. In place of functions it understands some frames: those
// of type `open` name what it does as their transport.
func standIn() int {
	page, err := unix.Mmap(4, 0, statspage.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 100
	}
	binary.NativeEndian.PutUint64(page[statspage.OffsetMagic:], statspage.Magic)
	binary.NativeEndian.PutUint32(page[statspage.OffsetVersion:], statspage.Version)
	conn, err := control.FromFile(os.NewFile(3, "control"))
	if err != nil {
		return 101
	}
	if slices.Contains(os.Args, "--spare") {
		if err := conn.Send(control.TypeReady, 0, 0, nil); err != nil {
			return 105
		}
	}
	frame, err := conn.Receive()
	if err != nil {
		return 102
	}
	var start control.Start
	if err := frame.Decode(&start); err != nil {
		return 103
	}
	if err := become(&start, frame.Files); err != nil {
		return 106
	}
	standInMemory = start.Memory
	switch start.Library {
	case libraryRefuse:
		_ = conn.Send(control.TypeFailed, frame.Call, frame.Executor, &control.Failed{Code: control.CodeLibrary, Text: "refused"})
		return 1
	case libraryExit:
		return 7
	case libraryHang:
		time.Sleep(time.Hour)
	case libraryBabble:
		_, _ = conn.Stream().Write([]byte("\xff\xff\xff\xffbabble"))
		time.Sleep(time.Hour)
	case libraryChild:
		raw, _ := conn.Stream().(interface{ File() (*os.File, error) }).File()
		null, _ := os.Open(os.DevNull)
		_, _ = os.StartProcess("/bin/sleep", []string{"sleep", "2"}, &os.ProcAttr{Files: []*os.File{null, null, null, raw}})
	case libraryOnce:
		if err := os.Mkdir(os.Getenv(markFile), 0o700); err != nil {
			return 9
		}
	}
	functions := []control.Function{{Name: "pin " + affinity(), ABI: 2}, {Name: "at " + filepath.Base(os.Args[0]), ABI: 2}}
	if err := conn.Send(control.TypeStarted, frame.Call, frame.Executor, control.Started{Functions: functions}); err != nil {
		return 104
	}
	for {
		frame, err := conn.Receive()
		if err != nil {
			return 0
		}
		perform(conn, frame, page)
		frame.Close()
	}
}

// become is what a spare does with what it is told; the real one's is tested with the real one.
func become(start *control.Start, output []*os.File) error {
	if start.Output {
		if err := unix.Dup3(int(output[0].Fd()), 1, 0); err != nil {
			return err
		}
	}
	for _, variable := range start.Environment {
		name, value, _ := strings.Cut(variable, "=")
		os.Setenv(name, value)
	}
	if len(start.CPUs) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range start.CPUs {
		set.Set(cpu)
	}
	return unix.SchedSetaffinity(os.Getpid(), &set)
}

func affinity() string {
	var set unix.CPUSet
	_ = unix.SchedGetaffinity(os.Getpid(), &set)
	return fmt.Sprint(cpus.List(&set))
}

func perform(conn *control.Conn, frame *control.Frame, page []byte) {
	running := func() {
		binary.NativeEndian.PutUint32(page[statspage.OffsetState:], uint32(statspage.Running))
		copy(page[statspage.OffsetName:], "doomed\x00")
	}
	if frame.Type == control.TypeMap { // echoes the file's size
		var m control.Map
		_ = frame.Decode(&m)
		info, _ := frame.Files[0].Stat()
		_ = conn.Send(control.TypeMapped, frame.Call, frame.Executor, control.Mapped{Region: m.Region, Address: uint64(info.Size())}, frame.Files[0])
		return
	}
	var open control.Open
	_ = frame.Decode(&open)
	switch open.Transport {
	case "die":
		running()
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	case "exit":
		running()
		binary.NativeEndian.PutUint32(page[statspage.OffsetExitCalled:], 1)
		os.Exit(4)
	case "close":
		_ = conn.Close()
		select {}
	case "hang":
		return
	case "forge": // what nobody asked for
		_ = conn.Send(control.TypeEnded, 0, frame.Executor, control.Ended{Executor: frame.Executor})
		_ = conn.Send(control.TypeOpened, frame.Call+1000, frame.Executor, control.Opened{})
	case "environment":
		_ = conn.Send(control.TypeOpened, frame.Call, frame.Executor, control.Opened{Name: fmt.Append(nil, os.Environ())})
		return
	case "memory":
		_ = conn.Send(control.TypeOpened, frame.Call, frame.Executor, control.Opened{Name: fmt.Append(nil, standInMemory)})
		return
	case "starve":
		running()
		binary.NativeEndian.PutUint32(page[statspage.OffsetOutOfMemory:], 1)
		os.Exit(2)
	case "print":
		fmt.Fprintln(os.Stdout, "printed by a function")
	}
	_ = conn.Send(control.TypeOpened, frame.Call, 77, control.Opened{Wire: os.Getpid()})
}
