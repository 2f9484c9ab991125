//go:build amd64 || arm64

package pause_test

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/pause"
)

// Many pauses take their time, and few end.
func TestFor(t *testing.T) {
	for _, pauses := range []uint32{0, 1} {
		pause.For(pauses)
	}
	began := time.Now()
	const pauses = 100_000
	pause.For(pauses)
	if took := time.Since(began); took < pauses*time.Nanosecond {
		t.Errorf("%d pauses took %v", pauses, took)
	}
}

func BenchmarkFor(b *testing.B) {
	for b.Loop() {
		pause.For(1)
	}
}
