package leaseall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	mpi "github.com/sbromberger/gompi"

	"github.com/sublet-hpc/sublet/offload"
)

// asRank names the part that this test binary plays as a rank under mpirun, and libraryVariable the function library.
const (
	asRank          = "LEASEALL_TEST"
	libraryVariable = "LEASEALL_TEST_LIBRARY"
)

// report is what a rank says of itself, one line of standard output.
type report struct {
	Rank     int
	Node     string   // where it runs
	Nodes    []string // of its executors
	Results  int      // how many of its executors have answered as they should
	CPU      int      // that its executor has used under load, in the kernel's ticks
	Error    string   // of LeaseAll
	Capacity bool     // that is offload.ErrNoCapacity
}

// rankMain plays a part: LeaseAll with what the part wants, and, if that goes well, what it does afterwards.
func rankMain(part string) int {
	mpi.Start(true)
	comm := mpi.NewCommunicator(nil)
	if err := play(comm, part); err != nil {
		fmt.Fprintf(os.Stderr, "rank %d: %v\n", comm.Rank(), err)
		comm.Abort(1)
	}
	mpi.Stop()
	return 0
}

func play(comm *mpi.Communicator, part string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	s, err := offload.Connect(ctx)
	if err != nil {
		return err
	}
	its := report{Rank: comm.Rank(), Node: s.Node()}
	lease, err := offload.LeaseAll(ctx, s, comm, wanted(comm, part))
	if err != nil {
		its.Error, its.Capacity = err.Error(), errors.Is(err, offload.ErrNoCapacity)
	} else if err := use(ctx, comm, s, lease, part, &its); err != nil {
		return err
	}
	if err := say(its); err != nil {
		return err
	}
	comm.Barrier()
	return s.Close()
}

// wanted is what a rank asks for.
func wanted(comm *mpi.Communicator, part string) offload.Want {
	want := offload.Want{Executors: 2, Library: os.Getenv(libraryVariable), HotTimeout: offload.NeverHot, Oversubscribe: true}
	last := comm.Rank() == comm.Size()-1
	switch part {
	case "fair":
		want.Executors = 1
	case "too many":
		want.Oversubscribe = false
	case "waits":
		want.Executors, want.Oversubscribe, want.Wait = 1, false, 30*time.Second
	case "another library":
		if last {
			want.Library = "/nowhere/libmissing.so"
		}
	case "another memory":
		if last {
			want.Memory = 1 << 30
		}
	case "senseless":
		if comm.Rank() == 0 {
			want.Executors = 0
		}
	}
	return want
}

// use has each executor square a number.
func use(ctx context.Context, comm *mpi.Communicator, s *offload.Session, lease *offload.Lease, part string, its *report) error {
	if part == "killed" && comm.Rank() == comm.Size()-1 {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if part == "one releases" {
		if comm.Rank() == 0 {
			if err := lease.Release(); err != nil {
				return err
			}
		}
		comm.Barrier() // the others' executors must be there still
		if comm.Rank() == 0 {
			return nil
		}
	}
	if part == "fair" {
		return load(ctx, comm, s, lease, its)
	}
	in, out := offload.Alloc[float64](s, 1), offload.Alloc[float64](s, 1)
	for i, e := range lease.Executors() {
		its.Nodes = append(its.Nodes, e.Node())
		in.Slice()[0] = float64(comm.Rank() + i + 2)
		if _, err := e.Invoke(ctx, "square", in, out).Wait(ctx); err != nil {
			return err
		}
		if out.Slice()[0] == in.Slice()[0]*in.Slice()[0] {
			its.Results++
		}
	}
	return nil
}

// loadTime is how long executors have to do with.
const loadTime = 3 * time.Second

// load keeps the rank's executor busy, as all ranks do at the same time, and looks how much of its core it gets.
func load(ctx context.Context, comm *mpi.Communicator, s *offload.Session, lease *offload.Lease, its *report) error {
	e := lease.Executors()[0]
	its.Nodes = []string{fmt.Sprintf("%s core %d", e.Node(), e.Core())}
	in, out := offload.Alloc[float64](s, 1), offload.Alloc[float64](s, 1)
	keepBusy := func(until time.Time) error {
		for time.Now().Before(until) {
			if _, err := e.Invoke(ctx, "compute", in, out).Wait(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	comm.Barrier()
	begun := time.Now()
	if err := keepBusy(begun.Add(loadTime / 6)); err != nil { // until all are busy
		return err
	}
	before, err := ticks(e.PID())
	if err != nil {
		return err
	}
	if err := keepBusy(begun.Add(loadTime)); err != nil {
		return err
	}
	after, err := ticks(e.PID())
	its.CPU = after - before
	if err != nil {
		return err
	}
	return keepBusy(begun.Add(loadTime * 7 / 6)) // until nobody measures
}

// ticks is the CPU time of a process, as the kernel counts it.
func ticks(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return user + system, err
}

func say(its report) error {
	text, err := json.Marshal(its)
	if err == nil {
		_, err = os.Stdout.WriteString(string(text) + "\n")
	}
	return err
}

// environment has ranks play a part.
func environment(part, library, directory string) []string {
	return []string{asRank + "=" + part, libraryVariable + "=" + library, "SUBLET_DIR=" + directory}
}
