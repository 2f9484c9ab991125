// Package slurm talks to Slurm and reads what it says. So far it has hostlists, the way in which
// Slurm writes many nodes as one word:
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
