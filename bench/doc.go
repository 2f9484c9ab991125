// Package bench measures Sublet: how long an invocation takes, how many there are in a second, how
// fast bytes move, how long a first result takes, and what executors speed up. A measurement gives a
// [record.Run], with every sample; reports and figures are made of that.
//
// # How it is measured
//
// What is compared takes turns: a block of Sublet's invocations, a block of each baseline, again and
// again, in the same two processes on the same cores. A ratio is that of two blocks that follow one
// another, so that a slow second of the machine hits both. The baselines' ends on the executor are
// functions that it runs (package floor).
//
//	block 1: sublet | raw | tcp    block 2: raw | tcp | sublet    ...
//
// A sample is the time from the end of one operation to the end of the next, with one look at the
// clock for each. With Touch, which is the default, that includes writing fresh input and reading the
// whole output, on either side of the comparison: a client that never looks at its payload flatters
// shared memory.
//
// Files: options.go what can be asked for, stage.go the lease, turns.go the taking of turns; one file
// for each kind of measurement, and for each kind of baseline.
package bench
