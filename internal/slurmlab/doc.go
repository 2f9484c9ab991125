// Package slurmlab is for tests that need a real Slurm cluster: the one that scripts/slurm-lab brings up.
//
//	func TestSomething(t *testing.T) {
//		lab := slurmlab.Open(t)
//		job := lab.Submit(t, "srun hostname", "--nodes=3")
//		job.Await(t, "COMPLETED")
//		lab.AwaitClean(t, 5*time.Second)
//	}
//
// Such tests have the build tag slurmlab and are run by `make slurm-lab`, on the login node, where Slurm's commands
// work, all nodes can be reached, and /proc has the processes of all of them. Everybody is root there, and the file
// system is shared, but for /tmp, /var/tmp, /run and /dev/shm.
//
// After each test the cluster is whole again: its jobs are cancelled, nodes that were crashed or cut off are back, and
// slurmctld runs. A test fails if that can not be had.
package slurmlab
