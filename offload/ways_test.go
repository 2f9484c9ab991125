package offload_test

import "testing"

// overBoth runs a test over shared memory and over a network: what this package decides is decided alike for all ways, and
// the conformance suite of internal/fabric, and the tests that are overTransports, run over each.
func overBoth(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	over(t, way{"ring", ""}, test)
	over(t, way{"ofi-write", "tcp"}, test)
}

// overProtocols runs a test over each of the three transports once, and so over each provider: for what depends on the one
// or the other, as what becomes of memory does when an executor ends, and not on both together. With -short it is overBoth.
func overProtocols(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	overBoth(t, test)
	if !testing.Short() {
		over(t, way{"ofi-send", "shm"}, test)
	}
}
