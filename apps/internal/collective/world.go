package collective

/*
#include <mpi.h>

// What MPI defines as macros, as functions: they are casts that cgo can not evaluate.

enum { NOT_STARTED = -1 };

static int join(int *rank, int *size) {
    int started = 0, code = MPI_Initialized(&started);
    if (code == MPI_SUCCESS && !started)
        return NOT_STARTED;
    if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(MPI_COMM_WORLD, size);
    return code;
}
static int barrier(void) { return MPI_Barrier(MPI_COMM_WORLD); }
static int allgatherv(double *x, const int *counts, const int *starts) {
    return MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, counts, starts, MPI_DOUBLE, MPI_COMM_WORLD);
}
static int allmax(double *x, int count) {
    return MPI_Allreduce(MPI_IN_PLACE, x, count, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}
static int allmin(int *x, int count) {
    return MPI_Allreduce(MPI_IN_PLACE, x, count, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
}
static int bcast(void *x, int count, int root) {
    return MPI_Bcast(x, count, MPI_BYTE, root, MPI_COMM_WORLD);
}
static int allgather_sizes(long long size, long long *sizes) {
    return MPI_Allgather(&size, 1, MPI_LONG_LONG, sizes, 1, MPI_LONG_LONG, MPI_COMM_WORLD);
}
static int gatherv(const void *mine, int size, void *all, const int *sizes, const int *starts) {
    return MPI_Gatherv(mine, size, MPI_BYTE, all, sizes, starts, MPI_BYTE, 0, MPI_COMM_WORLD);
}
static int explain(int code, char *text) {
    int length = 0;
    return MPI_Error_string(code, text, &length) == MPI_SUCCESS ? length : 0;
}
static void abort_all(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"
)

// World is all ranks of the program.
type World struct{ rank, size int }

// Join returns the world of a program that has started MPI. From then on MPI returns errors.
func Join() (*World, error) {
	var rank, size C.int
	code := C.join(&rank, &size)
	if code == C.NOT_STARTED {
		return nil, errors.New("collective: MPI is not started")
	}
	if err := check("joining", code); err != nil {
		return nil, err
	}
	return &World{int(rank), int(size)}, nil
}

// Rank is this process's number, from 0.
func (w *World) Rank() int { return w.rank }

// Size is the number of ranks.
func (w *World) Size() int { return w.size }

// Barrier returns when all ranks have called it.
func (w *World) Barrier() error { return check("barrier", C.barrier()) }

// Parts says which consecutive parts of a vector belong to which rank.
type Parts struct{ counts, starts []C.int }

// Parts returns the division of a vector whose parts have the given lengths, one per rank.
func (w *World) Parts(lengths []int) (*Parts, error) {
	if len(lengths) != w.size {
		return nil, fmt.Errorf("collective: %d parts for %d ranks", len(lengths), w.size)
	}
	p := &Parts{}
	start := 0
	for _, length := range lengths {
		if length < 0 || start+length > math.MaxInt32 {
			return nil, fmt.Errorf("collective: a vector of parts %v; MPI counts from 0 to %d", lengths, math.MaxInt32)
		}
		p.counts, p.starts = append(p.counts, C.int(length)), append(p.starts, C.int(start))
		start += length
	}
	return p, nil
}

// total is the length of the vector.
func (p *Parts) total() int {
	last := len(p.counts) - 1
	return int(p.starts[last] + p.counts[last])
}

// Allgather fills x on all ranks: each brings its own part, in place, and gets the others'.
func (w *World) Allgather(x []float64, parts *Parts) error {
	if len(x) < parts.total() {
		return fmt.Errorf("collective: gathering %d numbers into %d", parts.total(), len(x))
	}
	return check("allgatherv", C.allgatherv((*C.double)(unsafe.SliceData(x)), &parts.counts[0], &parts.starts[0]))
}

// Max replaces every number in x by the largest that any rank has in its place. They must be
// numbers: MPI does not say what becomes of NaN.
func (w *World) Max(x []float64) error {
	if len(x) == 0 {
		return nil
	}
	return check("allreduce", C.allmax((*C.double)(&x[0]), C.int(len(x))))
}

// minimum replaces every number in x by the smallest that any rank has in its place.
func (w *World) minimum(x []int32) error {
	return check("allreduce", C.allmin((*C.int)(unsafe.Pointer(&x[0])), C.int(len(x))))
}

// Broadcast copies root's bytes to all ranks, which bring slices of the same length.
func (w *World) Broadcast(data []byte, root int) error {
	return inPieces(data, func(piece []byte) error {
		return check("broadcast", C.bcast(unsafe.Pointer(&piece[0]), C.int(len(piece)), C.int(root)))
	})
}

// Gather returns every rank's bytes on rank 0, in the order of the ranks, and nil on the others.
// More than MPI can count are refused, on all ranks.
func (w *World) Gather(mine []byte) ([][]byte, error) {
	// All ranks learn all sizes, so that all of them decide alike.
	lengths := make([]C.longlong, w.size)
	if err := check("allgather", C.allgather_sizes(C.longlong(len(mine)), &lengths[0])); err != nil {
		return nil, err
	}
	sizes, starts, total, err := divide(lengths)
	if err != nil {
		return nil, err
	}
	var all []byte
	if w.rank == 0 {
		all = make([]byte, total)
	}
	code := C.gatherv(unsafe.Pointer(unsafe.SliceData(mine)), C.int(len(mine)), unsafe.Pointer(unsafe.SliceData(all)), &sizes[0], &starts[0])
	if err := check("gatherv", code); err != nil || w.rank != 0 {
		return nil, err
	}
	parts := make([][]byte, w.size)
	for rank, size := range sizes {
		parts[rank] = all[starts[rank]:][:size:size]
	}
	return parts, nil
}

// divide turns lengths into what MPI counts in.
func divide(lengths []C.longlong) (sizes, starts []C.int, total int, err error) {
	for _, length := range lengths {
		sizes, starts = append(sizes, C.int(length)), append(starts, C.int(total))
		if total += int(length); total > math.MaxInt32 {
			return nil, nil, 0, fmt.Errorf("collective: gathering more than %d bytes, which is what MPI counts to", math.MaxInt32)
		}
	}
	return sizes, starts, total, nil
}

// Abort ends all ranks at once, with an exit status. It does not return.
func (w *World) Abort(status int) {
	C.abort_all(C.int(status))
	os.Exit(status) // an MPI that returns from it
}

// MPIError is an operation that MPI says has failed.
type MPIError struct {
	Operation string
	Code      int
	Text      string // MPI's own
}

func (e *MPIError) Error() string {
	return fmt.Sprintf("MPI: %s failed with code %d: %s", e.Operation, e.Code, e.Text)
}

func check(operation string, code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	text := make([]byte, C.MPI_MAX_ERROR_STRING+1)
	length := C.explain(code, (*C.char)(unsafe.Pointer(&text[0])))
	return &MPIError{operation, int(code), string(text[:length])}
}
