package pause_test

import (
	"testing"

	"github.com/sublet-hpc/sublet/internal/pause"
)

// However many it ends.
func TestFor(t *testing.T) {
	for _, pauses := range []uint32{0, 1, 1000} {
		pause.For(pauses)
	}
}

func BenchmarkFor(b *testing.B) {
	for b.Loop() {
		pause.For(1)
	}
}
