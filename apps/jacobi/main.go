// Command jacobi solves a system of linear equations by the Jacobi method on MPI ranks that offload part of their rows: the
// example of a program written with package offload, and a measurement of what it gains. See jacobi --help.
//
// Files: run.go the run as a whole and its failures, solver.go one rank's part in one solution, pieces.go what its executors
// have, iterate.go the loop, describe.go what became of it, problem.go what is solved. What needs no MPI is in the packages
// below: options, input, linear, holding, report; the executors' function library is in kernel.
package main

import (
	"os"
	"runtime"

	"github.com/sublet-hpc/sublet/apps/internal/program"
	"github.com/sublet-hpc/sublet/apps/jacobi/options"
)

// MPI must be called from the thread that started it.
func init() { runtime.LockOSThread() }

func main() { os.Exit(jacobi.Main(os.Args[1:], os.Stdout, os.Stderr)) }

var jacobi = program.Program[options.Options]{Name: "jacobi", Parse: options.Parse, Help: options.Help, Run: run}
