package collective

/*
#include <mpi.h>

static int send(const void *x, int count, int to) {
    return MPI_Send(x, count, MPI_BYTE, to, 0, MPI_COMM_WORLD);
}
static int receive(void *x, int count, int from) {
    return MPI_Recv(x, count, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}
*/
import "C"

import (
	"encoding/binary"
	"unsafe"
)

// most is how many bytes are passed at once: MPI counts in 32 bits.
const most = 1 << 30

// Send sends bytes to another rank, which receives a slice of the same length, however long.
func (w *World) Send(data []byte, to int) error {
	return inPieces(data, func(piece []byte) error {
		return check("send", C.send(unsafe.Pointer(&piece[0]), C.int(len(piece)), C.int(to)))
	})
}

// Receive fills data with what another rank sends.
func (w *World) Receive(data []byte, from int) error {
	return inPieces(data, func(piece []byte) error {
		return check("receive", C.receive(unsafe.Pointer(&piece[0]), C.int(len(piece)), C.int(from)))
	})
}

func inPieces(data []byte, pass func(piece []byte) error) error {
	for len(data) > 0 {
		n := min(len(data), most)
		if err := pass(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Share returns root's bytes on all ranks; the others need not know how many they are.
func (w *World) Share(data []byte, root int) ([]byte, error) {
	length := binary.BigEndian.AppendUint64(nil, uint64(len(data)))
	if err := w.Broadcast(length, root); err != nil {
		return nil, err
	}
	if w.rank != root {
		data = make([]byte, binary.BigEndian.Uint64(length))
	}
	return data, w.Broadcast(data, root)
}
