// Package offload lends the cores of executors to a program: it sends part of each step's work to
// them by shared memory or RDMA, in microseconds, while the program computes the rest itself.
//
// # Basics
//
// A [Session] is the program's connection; a [Lease] is the right to some executors, processes on
// cores of their own that have loaded the program's function library; a [Future] is one invocation
// of a function. A [Split] divides the items of a step between the caller and the executors, and is
// what most programs want:
//
//	session, err := offload.Connect(ctx)
//	lease, err := session.Lease(ctx, offload.Want{Executors: 4, Library: "libtask.so"})
//	in, out := offload.Alloc[float64](session, n), offload.Alloc[float64](session, n)
//	future := lease.Invoke(ctx, "task", in, out)   // returns at once
//	...                                            // compute something else meanwhile
//	size, err := future.Wait(ctx)
//
// Who has nothing else to compute uses [Lease.Call], which is both in one and cheaper; who has many small
// calls, [Lease.CallAll], which costs a fraction of that for each. None of them allocates memory in the
// long run. [Lease.Each] invokes a function on all executors, each with its piece of a buffer ([Scatter], [Gather], [Broadcast]). A result is taken once: a second Wait for it returns [ErrWaited].
//
// Without anything else the executors are on spare cores of the program's own node. With a run directory
// (docs/run-directory.md) a resource manager lends those of all its nodes. With an executors database
// ([FromExecutorsDatabase]) they come from the executor managers in that, without a resource manager. A program that may
// lease nothing connects with [AtFirstLease], when it does.
//
// A Split with [Auto] measures what everybody does in a second, and deals out the items of each step by it; it
// leases executors when that is worth it, and uses none where they do not pay (docs/splitting.md):
//
//	here alone ── a lease would pay ──▶ asked for ── granted ──▶ together ── does not pay ──▶ off
//	                   ▲                    │ refused               ▲                          │ now and then
//	                   └─── after a pause ──┘                       └── it would pay ── tried with little
//
// No MPI is needed, and none is in the way: each rank has its own session. [LeaseAll] leases for all ranks at once, through a
// [Communicator] such as gompi's. How functions are
// written is in docs/functions.md.
//
// # Memory
//
// Payloads lie in a [Buffer], which is outside the Go heap: executors on the same host read and
// write the very same pages. From Invoke until the future has ended, the buffers belong to the
// executor. An ending is a response, or the proof that the executor can write no more. A [Constant] is sent
// to each executor once and then only named. What an executor is given must fit into its memory
// ([Want].Memory, docs/memory.md), else the invocation fails with [ErrPayloadTooLarge]. Free what you no longer need; [Session.Close] frees
// all that is left.
//
// # Concurrency
//
// Sessions, leases, executors and futures may be used by any number of goroutines. An executor
// runs one invocation at a time, in the order in which they were sent, and can hold 8 of
// them; a ninth makes Invoke wait until one is answered, whether or not anybody waits for its future;
// [Lease.TryInvoke] does not wait.
//
// # Errors
//
// See [ErrClosed] and those around it, [FunctionError] and [ExecutorLost]. A function that fails
// leaves its executor as it was. What is lost with an executor is run again: by [Lease.Invoke] on
// another executor, by Split there or locally. An input that ends two executors is poison and
// goes no further ([ErrPoison]). Lost executors are replaced within the lease, on another node if theirs is gone.
// So it is with an executor that breaks the protocol, is stopped, or loses a message: no invocation waits
// for ever, unless its function runs for ever and its context does.
//
// # Caveats
//
// Functions are assumed to be repeatable: running one twice with the same input does no harm. [Want.NotRepeatable] says that they are not. An
// executor keeps its state between invocations, but not when it is replaced.
package offload
