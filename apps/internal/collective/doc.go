// Package collective is what the MPI programs of this repository need of MPI beside gompi: the
// collective operations that gompi v0.2.0 lacks (gathering parts of unequal size, texts, values) or gets
// wrong (broadcasting bytes), with every return code checked. gompi starts and stops MPI.
//
//	mpi.Start(true)
//	world, err := collective.Join()
//	...
//	err = world.Agree(err)   // the same answer on all ranks
//	...
//	mpi.Stop()
//
// All operations are on MPI_COMM_WORLD, because gompi keeps its communicators to itself, and every
// rank must call the same ones in the same order, from one goroutine at a time. Empty slices are
// fine everywhere.
//
// # Errors
//
// [Join] tells MPI to return errors instead of ending the job, so a failed operation is an
// [*MPIError]. After one the ranks are no longer in step: print it and call [World.Abort]. What
// goes wrong on one rank only is for [World.Agree], after which all ranks know it; the error is a
// [*RankError].
//
// # Memory
//
// Slices are the caller's and used during the call only. Large vectors that are gathered again and
// again should lie outside the Go heap, where networks can register them.
//
// # Flags
//
// Like gompi this package has the flags of Debian's Open MPI built in; for another MPI set
// CGO_CFLAGS and CGO_LDFLAGS (scripts/with-mpi does).
package collective
