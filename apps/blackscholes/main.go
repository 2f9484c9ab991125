// Command blackscholes prices options on MPI ranks that offload part of them: PARSEC's benchmark as a program written with
// package offload. See blackscholes --help.
//
// Files: run.go the run as a whole, stream.go options that are read and priced batch by batch, generated.go those that
// are generated in memory, make.go a file of generated ones; batch.go options in memory that executors can be given,
// pricer.go one rank's pricing, source.go its reading, sink.go what becomes of prices: comparing (check.go), formatting
// and writing. What needs no MPI is in the packages below: options, portfolio, report; the executors' function library
// is in kernel, and the kernels are in apps/internal/pricing.
package main

import (
	"os"
	"runtime"

	"github.com/sublet-hpc/sublet/apps/blackscholes/options"
	"github.com/sublet-hpc/sublet/apps/internal/program"
)

// MPI must be called from the thread that started it.
func init() { runtime.LockOSThread() }

func main() { os.Exit(blackscholes.Main(os.Args[1:], os.Stdout, os.Stderr)) }

var blackscholes = program.Program[options.Options]{Name: "blackscholes", Parse: options.Parse, Help: options.Help, Run: run}
