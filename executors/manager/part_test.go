package manager

import "testing"

// A job that has fewer CPUs than it can run on lends no more whole cores than it has, and never more memory than it is told.
func TestPartOfANode(t *testing.T) {
	cores := []core{{ID: 0, CPUs: []int{0, 4}}, {ID: 1, CPUs: []int{1, 5}}, {ID: 2, CPUs: []int{2}}}
	for cpus, want := range map[int]int{0: 3, 1: 0, 2: 1, 3: 1, 4: 2, 5: 3, 64: 3} {
		if got := atMost(cores, cpus); len(got) != want {
			t.Errorf("a job of %d CPUs lends %v, not %d cores", cpus, got, want)
		}
	}
	m, err := New(Options{cores: cores[:2], CPUs: 2, Memory: 1 << 30, Pool: 0})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if len(m.node.Cores) != 1 || m.node.Cores[0] != 0 || m.node.Memory > 1<<30 || m.capacity.all == nil {
		t.Errorf("cores %v and %d bytes are lent, pinned %v; not core 0 with 1 GiB at most, unpinned", m.node.Cores, m.node.Memory, m.capacity.all == nil)
	}
}
