// Package outcome is what the reports of the MPI programs in this repository have in common: how they are written, as a table and
// as JSON, what they say of executors, and how often a run shows its progress.
package outcome
