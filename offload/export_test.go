package offload

import (
	"testing"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// Tamper has a function called with every client before it is used, until the test is over.
func Tamper(t testing.TB, tamper func(*fabric.Client)) {
	tampering.Store(&tamper)
	t.Cleanup(func() { tampering.Store(nil) })
}
