// Package api is what the parts of the control plane tell each other: records of nodes and leases,
// and counts of resources. It imports none of our packages, so that everything may import it.
//
// Records are plain values. Who keeps one past a call clones it; the ledger does.
package api
