package seat

import "testing"

func TestCountCores(t *testing.T) {
	bound := func(node string, core int) Seat { return Seat{node, core, 4} }
	on := func(node string, core int) Place { return Place{Node: node, Core: core} }
	for name, test := range map[string]struct {
		ranks           []Seat
		executors       []Place
		local, together int
	}{
		"one bound rank":               {[]Seat{bound("a", 0)}, nil, 1, 1},
		"and an executor beside it":    {[]Seat{bound("a", 0)}, []Place{on("a", 1)}, 1, 2},
		"and one on the same core":     {[]Seat{bound("a", 0)}, []Place{on("a", 0), on("a", 1)}, 1, 2},
		"two unbound ranks":            {[]Seat{bound("a", -1), bound("a", -1)}, []Place{on("a", 2)}, 2, 3},
		"more processes than cores":    {[]Seat{{"a", -1, 2}, {"a", -1, 2}, {"a", -1, 2}}, []Place{on("a", 0), on("a", 1)}, 2, 2},
		"two nodes":                    {[]Seat{bound("a", 0), bound("b", 0)}, []Place{on("b", 1)}, 2, 3},
		"executors elsewhere":          {[]Seat{bound("a", 0)}, []Place{on("c", 0), on("c", 1)}, 1, 3},
		"two ranks bound to one core":  {[]Seat{bound("a", 0), bound("a", 0)}, nil, 1, 1},
		"an executor that is unpinned": {[]Seat{bound("a", 0)}, []Place{on("a", -1)}, 1, 2},
	} {
		if local, together := CountCores(test.ranks, nil), CountCores(test.ranks, test.executors); local != test.local || together != test.together {
			t.Errorf("%s: %d and %d cores, want %d and %d", name, local, together, test.local, test.together)
		}
	}
}
