package main

import (
	"github.com/sublet-hpc/sublet/apps/jacobi/report"
)

// describe tells what the rank's executors have done.
func (s *solver) describe(out *report.Offloaded) {
	did := s.split.Report()
	out.Division = report.Division{
		Rank: s.world.Rank(), Rows: s.hi - s.lo, RowsOffloaded: 0,
		Moves: s.pieces.moves, MovedRows: did.Moved, MovingSeconds: s.pieces.seconds - s.placing,
		LeaseSeconds: did.LeaseSeconds, Off: did.Off,
	}
	if s.off != "" {
		out.Division.Off = s.off
	}
	out.Division.RowsDone = did.Local.Items
	lease := s.split.Lease()
	if lease == nil {
		return
	}
	out.Lost = lease.Lost()
	for _, loss := range lease.Losses() {
		out.Losses = append(out.Losses, report.Loss{Rank: s.world.Rank(), Text: loss.Error()})
	}
	now := s.pieces.rowsNow()
	for i, e := range lease.Executors() {
		path, effort := e.Path(), did.Executors[i]
		out.Division.RowsOffloaded += now[e]
		out.Division.RowsDoneByExecutors += effort.Items
		out.Leased = append(out.Leased, report.Executor{
			Rank: s.world.Rank(), Index: e.Index(), Node: e.Node(), Core: e.Core(), Oversubscribed: e.Oversubscribed(),
			Transport: path.Transport, Provider: path.Provider, Rows: now[e], Memory: e.Memory(),
			RowsDone: effort.Items, Seconds: effort.Seconds, Busy: effort.Efficiency,
		})
	}
}
