// Package slurm talks to Slurm, and reads what it says.
//
// A [Client] runs Slurm's commands:
//
//	client := slurm.New(slurm.Options{Log: log})
//	nodes, err := client.Nodes(ctx)  // sinfo --json
//	jobs, err := client.Jobs(ctx)    // squeue --json
//	id, err := client.Submit(ctx, slurm.Script{Name: "managers", Options: []string{"--time=1:00:00"}, Body: "..."})
//	err = client.Cancel(ctx, id)
//
// No call takes longer than its deadline, 15 s by default, and a second: whatever does not end by then is killed, with its
// children. A command that fails is left alone for a second, then two, up to a minute, and meanwhile calls fail at once
// with [ErrBackingOff]; so whoever asks regularly needs no back-off of his own. That Slurm refuses ([ErrRefused]) is an
// answer, and nothing of it is held against the next call; who submits in a loop decides himself when to try again. What
// changes is logged, once, and everything is counted ([Client.Counters]). All errors say what to do ([Error]).
//
// Slurm 22.05 to 25.x are read, which write the same things in different shapes ([Node], [Job]): as a number or as an
// object, as a word or as a list, nodes one by one or by partition. Keys that are not known are passed over; a known one
// with a value of the wrong type is an error that names it. slurmdbd is not needed.
//
// In a job, [AllocationFromEnvironment] says which nodes it has, and until when. [ParseTime] and [FormatTime] are for
// Slurm's times, and hostlists are the way in which it writes many nodes as one word:
//
//	names, err := slurm.Expand("n[1-3,08],login") // n1 n2 n3 n08 login
//	list := slurm.Fold(names)                     // n[1-3,08],login
//
// Both do what `scontrol show hostnames` and `scontrol show hostlist` do, without a Slurm that must
// answer: order and repetitions stay, leading zeros are kept, and several brackets in one name
// multiply. Beyond that, a name can go on behind its brackets (n[1-2].cluster), and a comma too many is an
// error. What Expand returns can be given to ssh or srun: no name is empty, begins with a hyphen or
// has a character that a host's name can not have.
package slurm
