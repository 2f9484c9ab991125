// Package launcher starts executor managers on the nodes of a Slurm allocation, waits until they have
// registered with the resource manager, and ends them again; and it submits, lists and cancels the jobs
// that do so.
//
//	sublet slurm submit ── sbatch ──▶ job's script: sublet launch ══ srun ══▶ sublet executor-manager, one per node
//	       │                                          │    ▲                        │
//	       ▼                                          │    └── who has registered ── resource manager
//	run directory: slurm/DATE/script, stdout, stderr  └─ lifeline: srun's standard input
//
// [Start] starts the managers, [Launch.Register] waits for them, [Launch.Wait] until they end, and
// [Launch.End] ends them:
//
//	starting ── all registered, or failed ──▶ lending ── End, or they end themselves ──▶ ending ──▶ ended
//	    └────── none registered in time ───────────────────────────────────────────────────▲
//
// # One step for all nodes
//
// srun starts the managers: one step where all nodes have as many CPUs, else one for each number of them. A
// manager that fails takes no other along, nor does a node that dies.
//
// # The lifeline
//
// Managers read their standard input, which is that of srun, which is a pipe that the launcher holds. Its end has
// them drain and end, as SIGTERM would. So they end with whoever launched them, also after a kill -9, and ending
// them asks nothing of Slurm's controller, which may be away. srun itself would kill them at once if it got SIGTERM.
//
// # Who has failed
//
// srun says which task of which node has ended ([Failure]); the last lines of what a manager wrote are read from its file in the
// directory of logs.
package launcher
