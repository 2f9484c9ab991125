// Package linear is the mathematics of the Jacobi solver, without MPI and without offloading: the
// system that is solved, a block of its rows as the solver keeps it in memory, one sweep over a
// block, the residual, and the direct solution that a result is verified against.
//
// # A block's memory
//
// A block is laid out so that it can be given away as it is: as a constant of the executors, whose
// function library (kernel/jacobi.c) reads the same layout. Everything is 8 bytes wide and in the
// machine's byte order, and every part starts on a multiple of 64 bytes:
//
//	header                  magic, n, stride, first row, rows; 3 words unused
//	right-hand side         rows numbers, rounded up to 8
//	diagonal                rows numbers, rounded up to 8
//	matrix                  rows × stride numbers, row after row
//
// The stride is n rounded up to 8; what a row has behind its n numbers is zero, and so is what a
// vector has there. The padding keeps the kernels without a remainder, and makes a row's sum the
// same whichever rows are computed beside it.
//
// [NewBlock] allocates the memory, [PlaceBlock] uses the caller's, who keeps it until the block is
// no longer used.
//
// # Norm
//
// All residuals are in the maximum norm, relative to the right-hand side: max|b-Ax| / max|b|. A
// maximum does not depend on the order in which ranks combine it.
package linear
