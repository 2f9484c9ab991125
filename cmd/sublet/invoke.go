package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/resources/api"
)

func invokeCommand() *command {
	return &command{
		name: "invoke", synopsis: "FUNCTION --library PATH", summary: "call a function on leased executors, and time it",
		details: `
It leases executors, calls the function of the library, and gives the executors back. Without a resource
manager they are on this node's own cores. The report names the executors, how they were really
reached, and the round trips: from the call to the moment when the output is there. With --repeat, the
first includes making the payload known to the executor; p99 is told from 1000 invocations on.

With several executors each has one invocation at a time, and gets its next one as soon as it has
answered. With --cores-per-executor the threads that a function starts have cores of their own, and
OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and MKL_NUM_THREADS are as many. --out is what the last invocation
gave. The report is on standard output, but on standard error if --out - sends the output there.

--output json prints one object: function, library, executors (index, node, core, more_cores,
oversubscribed, transport, provider), invocations, bytes_in, bytes_out, lease_ns, elapsed_ns, first_ns,
median_ns, p99_ns (from 1000 invocations on), min_ns, max_ns, function_median_ns. --output quiet prints
the median round trip, in nanoseconds.`,
		examples: []string{
			"sublet invoke empty --library bin/libfunctions.so",
			"sublet invoke empty --library bin/libfunctions.so --in data.bin --repeat 10000",
			"sublet invoke render --library librender.so --in scene --out image --out-size 16MiB --timeout 30s",
			"sublet invoke solve --library libsolve.so --in system --cores-per-executor 8 --wait 1m",
			"sublet invoke empty --library bin/libfunctions.so --repeat 1000 --output json",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			o := options.Declare(flags)
			return func(args []string, _, _ io.Writer) error {
				if err := o.Read(args); err != nil {
					return usagef("invoke: %v; see: sublet help invoke", err)
				}
				if err := checkInvocation(o); err != nil {
					return err
				}
				return becomeInvoke(o)
			}
		},
	}
}

// checkInvocation finds what would fail, before anything is leased.
func checkInvocation(o *options.Options) error {
	embedded, err := isEmbedded(o)
	if err != nil {
		return err
	}
	if o.Database != "" {
		if err := checkFile("--executors-database", o.Database); err != nil {
			return err
		}
	}
	if embedded { // else it may be on other nodes alone
		if err := checkFile("--library", o.Library); err != nil {
			return err
		}
	}
	if o.In != "" && o.In != options.Standard {
		if err := checkFile("--in", o.In); err != nil {
			return err
		}
	}
	if o.Out != "" && o.Out != options.Standard {
		return checkTarget(o.Out)
	}
	return nil
}

// databaseVariable is offload.DatabaseVariable; that package has C.
const databaseVariable = "SUBLET_EXECUTORS_DATABASE"

// isEmbedded tells whether executors will be on this node's own cores. A directory that was named
// must have a resource manager.
func isEmbedded(o *options.Options) (bool, error) {
	directory := o.Directory
	if directory == "" && (o.Database != "" || os.Getenv(databaseVariable) != "") {
		return false, nil
	}
	named := directory != ""
	if !named {
		var err error
		if directory, err = api.Directory(); err != nil {
			return false, err
		}
	}
	_, err := api.ReadAccess(directory)
	if errors.Is(err, api.ErrNoResourceManager) && named {
		// Not wrapped: like all that keeps it from invoking, this ends with exit status 1.
		return false, errors.New(err.Error() + ", or leave --dir out to use this node's own cores")
	}
	if errors.Is(err, api.ErrNoResourceManager) {
		return true, nil
	}
	return false, err
}

// checkFile refuses what can not be read. It does not open it: that could be half of a pipe.
func checkFile(flag, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = unix.EISDIR
	}
	if err == nil {
		err = unix.Access(path, unix.R_OK)
	}
	if err != nil {
		return fmt.Errorf("invoke: %s %s: %w", flag, path, plainError(err))
	}
	return nil
}

// checkTarget refuses a file that could not be written.
func checkTarget(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		err = unix.EISDIR
	case err == nil && !info.Mode().IsRegular():
		err = unix.Access(path, unix.W_OK)
	default: // it is replaced by a new one
		err = unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK)
	}
	if err != nil {
		return fmt.Errorf("invoke: --out %s: %w", path, plainError(err))
	}
	return nil
}

// plainError leaves out the path and the system call, which the text around it makes clear.
func plainError(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// becomeInvoke replaces this program, which is static and without C, by the one that calls functions.
// It returns only if that fails.
func becomeInvoke(o *options.Options) error {
	path, err := binaries.Find(options.Program)
	if err != nil {
		return fmt.Errorf("invoke: %w (make build makes it beside sublet)", err)
	}
	err = unix.Exec(path, append([]string{options.Program}, o.Arguments()...), os.Environ())
	return fmt.Errorf("invoke: starting %s: %w", path, err)
}
