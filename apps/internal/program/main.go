package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	mpi "github.com/sbromberger/gompi"
	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
	"github.com/sublet-hpc/sublet/internal/commandline"
)

// Program is an MPI program with options O.
type Program[O any] struct {
	Name string
	// Parse reads the arguments behind the name; pflag.ErrHelp asks for help. It does the same on all ranks.
	Parse func(args []string) (O, error)
	Help  func() string
	// Run does the work, on all ranks. Its error is the same on all of them, unless it is a collective.MPIError.
	// What is written to stdout and stderr appears once, from rank 0.
	Run func(ctx context.Context, world *collective.World, options *O, stdout, stderr io.Writer) error
}

// Main starts MPI, runs the program and returns its exit status: 0, 1 for a failure, 2 for wrong usage. It must be called
// from the thread that main began on (runtime.LockOSThread in an init function).
func (p Program[O]) Main(args []string, stdout, stderr io.Writer) int {
	// A rank that mpirun has bound to one core still has goroutines beside the one in C.
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		runtime.GOMAXPROCS(4)
	}
	mpi.Start(true)
	defer mpi.Stop()
	world, err := collective.Join()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	if world.Rank() != 0 { // whatever there is to say, all ranks know it and the first one says it
		stdout, stderr = io.Discard, io.Discard
	}
	options, err := p.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, p.Help())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v; see %s --help\n", p.Name, commandline.Reason(err), p.Name)
		return 2
	}
	err = p.Run(context.Background(), world, &options, stdout, stderr)
	var broken *collective.MPIError
	switch {
	case errors.As(err, &broken):
		// The ranks are out of step, so this one speaks for itself.
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		world.Abort(1)
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return 0
}

// OneLine cuts several errors down to the first: one message is enough.
func OneLine(err error) error {
	if err == nil {
		return nil
	}
	line, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return errors.New(line)
}
