package collective

/*
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Rank 0 sends size bytes and gets as many back from rank 1, which copies them if it is to touch them.
static int round_trips(int rank, char *out, char *in, int size, uint64_t count, int touch, uint64_t *samples) {
    uint64_t before = nanoseconds();
    int code = MPI_SUCCESS;
    for (uint64_t i = 0; i < count && code == MPI_SUCCESS; i++) {
        if (rank == 0) {
            if (touch && size >= (int)sizeof i)
                memcpy(out, &i, sizeof i);
            code = MPI_Send(out, size, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
            if (code == MPI_SUCCESS)
                code = MPI_Recv(in, size, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            uint64_t now = nanoseconds();
            samples[i] = now - before;
            before = now;
        } else {
            code = MPI_Recv(in, size, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            if (touch)
                memcpy(out, in, size);
            if (code == MPI_SUCCESS)
                code = MPI_Send(out, size, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        }
    }
    return code;
}
static int library_version(char *text) {
    int length = 0;
    return MPI_Get_library_version(text, &length) == MPI_SUCCESS ? length : 0;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// RoundTrips sends size bytes from rank 0 to rank 1 and back, count times, and returns each one's
// nanoseconds on rank 0, nil on rank 1. The loop is C, as in a program written for MPI. touch: rank 1
// copies what it gets to where it answers from.
func (w *World) RoundTrips(size, count int, touch bool) ([]int64, error) {
	if w.size != 2 {
		return nil, fmt.Errorf("collective: round trips between %d ranks; 2", w.size)
	}
	if size < 0 || size > most || count < 0 {
		return nil, fmt.Errorf("collective: %d round trips of %d bytes; at most %d bytes", count, size, most)
	}
	room := C.size_t(max(size, 8))
	out, in, samples := C.calloc(1, room), C.calloc(1, room), C.calloc(C.size_t(max(count, 1)), 8)
	defer func() {
		C.free(out)
		C.free(in)
		C.free(samples)
	}()
	if out == nil || in == nil || samples == nil {
		return nil, errors.New("collective: out of memory")
	}
	// Pages are there before anything is measured.
	C.memset(out, 1, room)
	C.memset(in, 1, room)
	C.memset(samples, 0, C.size_t(max(count, 1))*8)
	touches := C.int(0)
	if touch {
		touches = 1
	}
	if err := w.Barrier(); err != nil {
		return nil, err
	}
	code := C.round_trips(C.int(w.rank), (*C.char)(out), (*C.char)(in), C.int(size), C.uint64_t(count), touches, (*C.uint64_t)(samples))
	if err := check("a round trip", code); err != nil || w.rank != 0 {
		return nil, err
	}
	return append([]int64(nil), unsafe.Slice((*int64)(samples), count)...), nil
}

// Library is the MPI library's name and version.
func (w *World) Library() string {
	text := make([]byte, C.MPI_MAX_LIBRARY_VERSION_STRING+1)
	length := C.library_version((*C.char)(unsafe.Pointer(&text[0])))
	name, _, _ := strings.Cut(string(text[:length]), ",")
	return strings.TrimRight(name, "\x00\n ")
}
