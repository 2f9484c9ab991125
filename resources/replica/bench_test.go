package replica

import (
	"testing"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// BenchmarkOpen is how long a start takes with as many entries to replay as there can be on a machine that is
// not very busy: nearly those after which a snapshot is taken.
func BenchmarkOpen(b *testing.B) {
	directory := b.TempDir()
	r := open(b, directory)
	apply(b, r, node("n", 128))
	for r.revision < snapshotEntries-100 {
		_, err := r.Propose(grant("l", 1))
		check(b, err)
		_, err = r.Propose(ledger.Release{Lease: "l", At: noon, Remember: noon})
		check(b, err)
	}
	check(b, r.Close())
	for b.Loop() {
		check(b, open(b, directory).stop())
	}
}
