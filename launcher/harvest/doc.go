// Package harvest keeps executor managers on the idle nodes of a cluster, each in a Slurm job of one node, and
// takes them away again before anybody has to wait for them.
//
//	sinfo, squeue ──▶ Snapshot ──▶ Observe ──▶ State ──▶ Decide ──▶ Decision ──▶ sbatch, scancel
//	                                             ▲ harvest.json                     │
//	                                             └──────── next look ◀──────────────┘
//
// [Decide] is a pure function: it calls nothing, and has no clock. The [Harvester] is the loop around it.
//
// # A job of ours
//
//	idle node ── Record written ──▶ asked for ── sbatch has answered ──▶ pending ── Slurm starts it ──▶ running ── ends ──▶ gone
//	                                  │  ▲                                  │                            │
//	             sbatch fails or hangs│  │squeue shows its name             │ the node is taken,         │ wanted, or idle
//	                                  ▼  │                                  │ or nothing happens         │ under OnDemand
//	                                unknown ── Settle later still not ──▶ forgotten                      ▼
//	                                                                        └──▶ given back ── scancel ──▶ gone
//
// A job is known by its name, which no other job has, and which is written into the state file before sbatch is
// called. So a job that was submitted although sbatch failed, hung, or was killed together with the harvester is
// found by its name in what squeue says, and one that is nowhere counts until it can not come any more.
//
// # Which nodes
//
// A node is used when all of it is idle and Slurm says nothing else of it: any flag that is not known to be
// harmless (drained, powered down or up, in the cloud, planned, reserved, in maintenance, not responding) keeps it
// from being used. Each job names its node, so that Slurm has no other choice.
//
// # Giving back
//
// A node is given back when a pending job of others wants it ([State], wants.go), when too few are left idle
// (KeepFree), when an administrator drains or reserves it, or, under OnDemand, when it had no lease for IdleTimeout.
// What is given back is not taken again while the reason for it is there.
//
// # Bounds
//
// There are never more than MaxNodes jobs altogether, Backlog that have not started, and MaxSubmissions calls of
// sbatch in any hour. After a failure nothing is submitted for a time that doubles with each further one, and then
// one job only; a node on which a job has failed rests as long, by a count of its own.
//
// # Errors
//
// What fails is logged and counted, and tried again at the next look. Only a second harvester for the same run
// directory, and a state file that can not be written or understood, are errors that end the loop.
package harvest
