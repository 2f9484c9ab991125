// Package cpus tells which CPUs a job may use, which of them are one core, and which cores are on one NUMA node.
//
//	set, err := cpus.Allowed()
//	whole, partial, err := cpus.Physical(&set, cpus.Folder)
//
// A CPU is what Linux numbers: a hardware thread. A core has one or more of them, and is named by
// its lowest.
package cpus
