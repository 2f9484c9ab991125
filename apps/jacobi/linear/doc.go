// Package linear is the mathematics of the Jacobi solver, without MPI and without offloading: the
// system that is generated, a block of a system's rows as the solver keeps it in memory, one sweep
// over a block, the residual, signs of divergence, and the direct solution that a result is verified
// against.
//
// # A block's memory
//
// A block is laid out so that it can be given away as it is: to another rank, or as a constant of
// the executors, whose function library (kernel) reads the same layout. Numbers are in the
// machine's byte order, and every part starts on a multiple of 64 bytes:
//
//	header             magic, n, stride, first row, rows, coefficients; 2 words unused
//	right-hand side    a float64 for each row
//	diagonal           a float64 for each row
//
// and then, if it is dense,
//
//	matrix             rows × stride float64, row after row
//
// or, if it is sparse (compressed rows),
//
//	starts             rows+1 int64: where each row's coefficients begin, and where the last one's end
//	values             a float64 for each coefficient
//	columns            an int32 for each coefficient
//
// The stride is n rounded up to 8; what a dense row has behind its n numbers is zero, and so is what
// a vector has there. The padding keeps the dense kernels without a remainder. A row's sum is the
// same whichever rows are computed beside it, and whoever computes it.
//
// [NewDense], [NewSparse] and [System.Block] allocate the memory; [System.Place] and [Block.Copy] use
// the caller's, who keeps it until the block is no longer used; [Open] takes a block that came from
// elsewhere.
//
// # Norm
//
// All residuals are in the maximum norm, relative to the right-hand side: max|b-Ax| / max|b|. A
// maximum does not depend on the order in which ranks combine it.
package linear
