package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/record"
)

// PingPong is what the program pingpong prints for each size.
type PingPong struct {
	Bytes  int            `json:"bytes"`
	MPI    string         `json:"mpi"`
	Blocks []record.Block `json:"blocks"`
}

// mpiLatency adds what two ranks need. They are processes of their own, and spin: they have their
// turn when the lease has ended.
func mpiLatency(ctx context.Context, o *Options, run *record.Run) error {
	if o.Mode == Warm {
		return errors.New("--baseline mpi: MPI's ranks spin; leave it out with --mode warm")
	}
	for i, size := range o.Sizes {
		o.progress(fmt.Sprintf("mpi, %d bytes", size), i, len(o.Sizes))
		p := o.plan(size)
		args := append([]string(nil), o.MPIRun[1:]...)
		args = append(args, "--bytes", strconv.Itoa(size), "--blocks", strconv.Itoa(p.blocks), "--count", strconv.Itoa(p.count),
			"--warmup", strconv.Itoa(p.warmup), "--touch="+strconv.FormatBool(o.Touch))
		command := exec.CommandContext(ctx, o.MPIRun[0], args...)
		command.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
		// mpirun ends its ranks when it is asked to, and leaves them behind when it is killed.
		command.Cancel, command.WaitDelay = func() error { return command.Process.Signal(unix.SIGTERM) }, 5*time.Second
		var stdout, stderr bytes.Buffer
		command.Stdout, command.Stderr = &stdout, &stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("--baseline mpi: %s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(stderr.String()))
		}
		var result PingPong
		if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
			return fmt.Errorf("--baseline mpi: what %s printed: %w", o.MPIRun[len(o.MPIRun)-1], err)
		}
		run.Versions.MPI = result.MPI
		run.Series = append(run.Series, &record.Series{
			Kind: record.Latency, Name: MPI, Mode: Hot, Transport: "mpi", Provider: result.MPI, Bytes: size, Touched: o.Touch,
			InFlight: 1, Executors: 1, Clients: 1, Operations: 1, Beside: true, Blocks: result.Blocks,
		})
	}
	return nil
}
