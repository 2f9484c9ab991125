// Package floor is what a round trip costs without Sublet: the least that the same two processes,
// on the same cores, need over the same kind of transport. Benchmarks divide by it.
//
//	rank: bench                                      executor
//	Lines.Run ── cache line, bytes ─────────────▶ serve_lines (a function of the library in peer)
//	          ◀─ cache line, bytes ──────────────
//	Pairs.Run ── several cache lines ───────────▶ serve_pairs, with so many operations in flight
//	          ◀─ several cache lines ────────────
//	Endpoint.Run ── fi_writedata or fi_send ────▶ serve_ofi
//	             ◀─ fi_writedata or fi_send ─────
//
// The peer is a function that an executor runs and that takes its core over for the time of a
// block. So a floor and what is measured have the same two processes, cores and neighbors, and take
// turns.
//
// None of the data path's code or headers are used here, so that a floor does not get slower with
// what it is the floor of, and so that this package may have C of its own. Its C files are also
// compiled into the library in peer.
package floor
