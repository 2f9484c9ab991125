package offload_test

import (
	"strconv"
	"testing"

	"github.com/sublet-hpc/sublet/offload"
)

// split makes a Split, which is closed after the test.
func split(t testing.TB, s *offload.Session, plan offload.Plan) *offload.Split {
	t.Helper()
	made, err := s.Split(within(t), plan)
	check(t, err)
	t.Cleanup(func() { check(t, made.Close()) })
	return made
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	check(t, err)
	return n
}
