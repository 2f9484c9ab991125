// Package remote has the tests of the Jacobi solver whose executors are on other hosts than its
// ranks, and nothing else: they need hosts of their own (package internal/hosts), which the solver's
// other tests do without.
package remote
