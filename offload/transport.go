package offload

import (
	"fmt"
	"os"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// transport is what SUBLET_TRANSPORT and SUBLET_PROVIDER ask for.
type transport struct {
	name     string // fabric.Ring or fabric.OFIWrite
	provider string // libfabric's; empty for the ring
}

// loopback is where a node's own executors listen.
const loopback = "127.0.0.1"

// defaultProvider is libfabric's provider where nothing says otherwise.
const defaultProvider = "tcp"

// chooseTransport says how executors are reached. Executors of a node's own helper are on this
// host, so without a wish it is the ring.
func chooseTransport() (transport, error) {
	provider := os.Getenv("SUBLET_PROVIDER")
	switch wish := os.Getenv("SUBLET_TRANSPORT"); wish {
	case "", fabric.Ring:
		if wish == "" && provider != "" {
			return transport{fabric.OFIWrite, provider}, nil
		}
		if provider != "" {
			return transport{}, fmt.Errorf("offload: SUBLET_PROVIDER=%s names a provider of libfabric, which SUBLET_TRANSPORT=%s does not use; unset one of them", provider, wish)
		}
		return transport{name: fabric.Ring}, nil
	case "ofi", fabric.OFIWrite:
		if provider == "" {
			provider = defaultProvider
		}
		return transport{fabric.OFIWrite, provider}, nil
	default:
		return transport{}, fmt.Errorf("offload: SUBLET_TRANSPORT=%s is not a transport; there are ring, ofi and ofi-write", wish)
	}
}
