// Package executor is the process that runs one lease's functions on one core, one invocation at
// a time. It is started by an executor manager and knows nobody else: two inherited descriptors
// are all it has, no key, no path to a socket, no network service of its own but libfabric's
// endpoint to its one client.
//
//	descriptor 3   control connection to the manager (package control)
//	descriptor 4   stats page, a memfd that the manager maps read-only (package statspage)
//
// # Life
//
//	starting ── start: library loaded ──▶ started ── open: slots mapped ──▶ hot ◀──▶ warm
//	    │                                    │                               │
//	    └─ failed: exits 1                   └──── end of the manager ───────┴──▶ exits at once
//
// A spare has started before there is a lease for it: it says ready before it is told to start, and
// takes its environment, its CPUs and its output from that.
//
// Hot and warm are the states of the loop in internal/fabric: spinning, and asleep until its rank wakes it.
// A manager ends an executor with SIGKILL: it holds nothing that would have to be put in order,
// and a function that hangs could not be asked anyway. When the manager itself dies, the control
// connection ends and the executor with it (and Pdeathsig sees to the rest).
//
// The goroutine that receives frames answers while a function runs: also how far the loop is, by
// which the client tells a long function from a message that was lost.
//
// # Memory
//
// The start frame says how many bytes the executor may use. It refuses regions beyond that, and what
// functions allocate is bounded by as much again; see internal/fabric.
//
// # Errors
//
// What a request can not be given is answered with control.Failed and changes nothing. A fatal
// signal or a call of exit in a function is noted in the stats page before the process dies.
package executor
