// Command jacobi solves a system of linear equations by the Jacobi method on MPI ranks that offload part of their rows: the example of a program written with package offload, and a
// measurement of what it gains. See jacobi --help.
//
// Files: run.go the run as a whole and its failures, solver.go one rank's part in one solution,
// iterate.go the loop, problem.go what is solved, seat.go where the rank runs. What needs no MPI is in the packages below:
// options, input, linear, report; the executors' function library is in kernel.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	mpi "github.com/sbromberger/gompi"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
)

// MPI must be called from the thread that started it.
func init() { runtime.LockOSThread() }

func main() { os.Exit(doMain(os.Args[1:], os.Stdout, os.Stderr)) }

func doMain(args []string, stdout, stderr io.Writer) int {
	// A rank that mpirun has bound to one core still has goroutines beside the one in C.
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		runtime.GOMAXPROCS(4)
	}
	mpi.Start(true)
	defer mpi.Stop()
	world, err := collective.Join()
	if err != nil {
		fmt.Fprintln(stderr, "jacobi:", err)
		return 1
	}
	if world.Rank() != 0 { // whatever there is to say, all ranks know it and the first one says it
		stdout, stderr = io.Discard, io.Discard
	}
	o, err := options.Parse(args)
	switch {
	case errors.Is(err, options.ErrHelp):
		fmt.Fprint(stdout, options.Help())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "jacobi: %v; see jacobi --help\n", err)
		return 2
	}
	err = run(context.Background(), world, &o, stdout, stderr)
	var broken *collective.MPIError
	switch {
	case errors.As(err, &broken):
		// The ranks are out of step, so this one speaks for itself.
		fmt.Fprintln(os.Stderr, "jacobi:", err)
		world.Abort(1)
	case err != nil:
		fmt.Fprintln(stderr, "jacobi:", err)
		return 1
	}
	return 0
}
