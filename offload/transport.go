package offload

import (
	"fmt"
	"os"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// transport is how a rank reaches an executor.
type transport struct {
	name     string // fabric.Ring, fabric.OFIWrite or fabric.OFISend
	provider string // libfabric's; empty for the ring
}

// loopback is where a node's own executors listen.
const loopback = "127.0.0.1"

// defaultProvider is libfabric's provider where nothing says otherwise.
const defaultProvider = "tcp"

// anyOFI asks for libfabric, by the better of its two transports.
const anyOFI = "ofi"

// wish is what SUBLET_TRANSPORT and SUBLET_PROVIDER ask for; it is never met by something else.
type wish struct {
	transport string // a transport, anyOFI, or empty: the best that there is
	provider  string
}

func readWish() (wish, error) {
	w := wish{transport: os.Getenv("SUBLET_TRANSPORT"), provider: os.Getenv("SUBLET_PROVIDER")}
	switch w.transport {
	case "":
		if w.provider != "" {
			w.transport = anyOFI
		}
	case fabric.Ring:
		if w.provider != "" {
			return w, fmt.Errorf("offload: SUBLET_PROVIDER=%s names a provider of libfabric, which SUBLET_TRANSPORT=%s does not use; unset one of them", w.provider, w.transport)
		}
	case anyOFI, fabric.OFIWrite, fabric.OFISend:
	default:
		return w, fmt.Errorf("offload: SUBLET_TRANSPORT=%s is not a transport; there are ring, ofi, ofi-write and ofi-send", w.transport)
	}
	return w, nil
}

// isRing tells whether a rank and an executor meet over shared memory, as they do on one host unless
// something else is asked for.
func (w wish) isRing(sameHost bool) (bool, error) {
	if w.transport == fabric.Ring && !sameHost {
		return false, fmt.Errorf("offload: SUBLET_TRANSPORT=%s, but the executor is on another host, with which no memory can be shared", w.transport)
	}
	if w.transport == fabric.Ring || w.transport == "" && sameHost {
		return true, nil
	}
	if w.provider == fabric.SharedMemory && !sameHost {
		return false, fmt.Errorf("offload: SUBLET_PROVIDER=%s, but the executor is on another host, with which no memory can be shared", w.provider)
	}
	return false, nil
}

// overLibfabric picks the transport of those who do not meet over shared memory: ofi-write where the
// provider keeps the order of writes, and else ofi-send. What is picked is tried when the two meet
// (probe.go), and if it does not work that is an error.
func (w wish) overLibfabric() (transport, error) {
	t := transport{name: w.transport, provider: w.provider}
	if t.provider == "" {
		t.provider = defaultProvider
	}
	if t.name == fabric.OFIWrite || t.name == fabric.OFISend {
		fabric.PreloadLibfabric()
		return t, nil
	}
	ordered, err := fabric.OrdersWrites(t.provider)
	if err != nil {
		return transport{}, fmt.Errorf("offload: %w", err)
	}
	t.name = fabric.OFISend
	if ordered {
		t.name = fabric.OFIWrite
	}
	return t, nil
}
