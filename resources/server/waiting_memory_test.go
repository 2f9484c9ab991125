package server

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

const gib = int64(1) << 30

func newQueueWithMemory(t testing.TB, memory int64, cores ...int) queue {
	t.Helper()
	q := queue{testBook(t), t}
	r := registration("n", "i", cores...)
	r.Node.Memory = memory
	register(t, q.book, noon, r)
	return q
}

func (q queue) waitFor(executors int, memory int64) *waiter {
	q.t.Helper()
	return q.want(api.GrantRequest{Executors: executors, Memory: memory, Wait: time.Minute})
}

// One who waits for much memory is not passed by many who want little of it.
func TestLargeMemoryDoesNotStarve(t *testing.T) {
	q := newQueueWithMemory(t, 8*gib, 0, 1, 2, 3)
	a, b := q.waitFor(1, 4*gib), q.waitFor(1, gib)
	large := q.waitFor(1, 6*gib)
	c := q.waitFor(1, gib)
	q.expect("at first", []int{1, 1, 0, 0}, a, b, large, c)
	q.release(b)
	q.expect("four are free", []int{0, 0}, large, c)
	q.release(a)
	q.expect("all is free", []int{1, 1}, large, c)
}

// One who waits for memory leaves what is beyond that to others.
func TestMemoryBeyondIsLent(t *testing.T) {
	q := newQueueWithMemory(t, 8*gib, 0, 1, 2, 3)
	a := q.waitFor(2, 3*gib)
	large := q.waitFor(1, 5*gib)
	small := q.waitFor(1, gib)
	q.expect("two are free, for one who waits for five", []int{2, 0, 0}, a, large, small)
	q.release(a)
	q.expect("all is free", []int{1, 1}, large, small)
}

// One who wants more memory than the nodes will ever have holds nobody up.
func TestWaitingForMemoryThatIsNot(t *testing.T) {
	q := newQueueWithMemory(t, 8*gib, 0, 1)
	huge, two := q.waitFor(1, 9*gib), q.waitFor(2, 5*gib)
	small := q.waitFor(2, gib)
	q.expect("at first", []int{0, 0, 2}, huge, two, small)
}
