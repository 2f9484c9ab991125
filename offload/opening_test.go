package offload_test

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/offload"
)

// An executor that ends while it is met is not waited for: here each one ends before its first answer,
// as no thread can have such a stack.
func TestExecutorEndsWhileItIsMet(t *testing.T) {
	s := session(t)
	began := time.Now()
	_, err := s.Lease(within(t), offload.Want{Executors: 1, Library: library, Oversubscribe: true, StackSize: 1 << 50})
	if err == nil {
		t.Fatal("a stack of a petabyte was had")
	}
	if took := time.Since(began); took > 5*time.Second { // four processes; one of them cost as much
		t.Errorf("it took %v: %v", took, err)
	}
}
