// Package probe tries by which ways a rank could reach an executor, before there is either: it is
// what `sublet devices` and `sublet devices check` have sublet-executor do, because only that
// program has libfabric in it.
//
//	sublet-executor --probe list                      libfabric's offers, as JSON
//	sublet-executor --probe answer                    an executor without a lease
//	sublet-executor --probe ask --transport ofi-write --provider tcp --address 10.0.0.5
//
// The last two are the ends of one trial. They talk in the words of a client and an executor, either
// on an inherited socket (--on DESCRIPTOR: on one host, where descriptors can be passed) or on
// standard input and output (through ssh or srun). Somebody between them passes on what they say:
//
//	ask ── open ────▶            ──▶ answer        listens, or maps the ring
//	ask ◀────────── opened ──────── answer
//	ask ── map ────▶            ──▶ answer
//	ask ══ requests and responses, over the transport itself ══ answer
//	ask ── tried ──▶ the one between them
//
// The end that answers is a whole executor (package executor), and the one that asks does what a rank's
// library does when the two meet. So what works here works in a lease.
package probe
