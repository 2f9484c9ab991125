package replica

import (
	"fmt"
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

// BenchmarkOpenMany is the same with many leases that last and names that are remembered, in a snapshot and in
// the entries behind it.
func BenchmarkOpenMany(b *testing.B) {
	const lasting, ended = 1000, 4000
	directory := b.TempDir()
	r := open(b, directory)
	apply(b, r, node("n", lasting+1))
	propose := func(command ledger.Command) {
		_, err := r.Propose(command)
		check(b, err)
	}
	for i := range lasting {
		propose(grant(fmt.Sprintf("lasting%05d", i), 1))
	}
	for i := range ended {
		name := fmt.Sprintf("ended%07d", i)
		propose(grant(name, 1))
		propose(ledger.Release{Lease: name, At: noon, Remember: noon})
		if i%100 == 0 { // as clients do, who wait for their answers
			check(b, r.Mark().Wait(b.Context()))
		}
	}
	check(b, r.Close())
	for b.Loop() {
		check(b, open(b, directory).stop())
	}
}
