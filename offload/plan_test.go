package offload

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/control"
)

// at is a manager of a database of which so many cores are free.
func at(cores, memory, free int) *door {
	return &door{manager: config.Executor{Node: "n", Address: "h", Port: 1, Cores: cores, Memory: memory}, welcome: control.Welcome{Free: free, Cores: free}}
}

func TestPlanDirect(t *testing.T) {
	away := at(4, 0, 4)
	away.err = errors.New("it is away")
	for name, c := range map[string]struct {
		doors     []*door
		want      Want
		executors int
		shares    []int
	}{
		"all on the first with room":            {[]*door{at(1, 0, 1), at(4, 0, 4), at(8, 0, 8)}, Want{}, 3, []int{0, 3, 0}},
		"on several, in their order":            {[]*door{at(1, 0, 1), at(2, 0, 2), at(2, 0, 2)}, Want{}, 4, []int{1, 2, 1}},
		"no more than the database says":        {[]*door{at(1, 0, 8), at(2, 0, 8)}, Want{}, 3, []int{1, 2}},
		"no more than are free":                 {[]*door{at(8, 0, 1), at(8, 0, 2)}, Want{}, 3, []int{1, 2}},
		"no more memory than the database says": {[]*door{at(8, 64, 8), at(8, 0, 8)}, Want{Memory: 32 << 20}, 3, []int{0, 3}},
		"without those that are away":           {[]*door{away, at(2, 0, 2)}, Want{}, 2, []int{0, 2}},
		"shared where there are too few":        {[]*door{away, at(1, 0, 1), at(1, 0, 0)}, Want{Oversubscribe: true}, 4, []int{0, 3, 1}},
		"of several cores each":                 {[]*door{at(3, 0, 8), at(8, 0, 5)}, Want{CoresPerExecutor: 2}, 3, []int{1, 2}},
		"spread, of several cores each":         {[]*door{at(8, 0, 8), at(8, 0, 3)}, Want{CoresPerExecutor: 2, Placement: Spread}, 4, []int{3, 1}},
		"too few of several cores":              {[]*door{at(3, 0, 3), at(8, 0, 1)}, Want{CoresPerExecutor: 2}, 2, nil},
		"spread evenly":                         {[]*door{at(8, 0, 8), at(8, 0, 8), at(1, 0, 1)}, Want{Placement: Spread}, 6, []int{3, 2, 1}},
		"spread, and shared":                    {[]*door{at(1, 0, 1), at(1, 0, 1)}, Want{Placement: Spread, Oversubscribe: true}, 3, []int{2, 1}},
		"spread over too few":                   {[]*door{at(1, 0, 1), at(8, 0, 1)}, Want{Placement: Spread}, 3, nil},
		"too few":                               {[]*door{at(1, 0, 1), at(8, 0, 1)}, Want{}, 3, nil},
		"too little memory":                     {[]*door{at(2, 64, 2)}, Want{Memory: 64 << 20}, 2, nil},
		"nobody is there":                       {[]*door{away}, Want{Oversubscribe: true}, 1, nil},
	} {
		shares, err := planDirect(c.doors, &c.want, c.executors)
		if !slices.Equal(shares, c.shares) || (err == nil) != (c.shares != nil) {
			t.Errorf("%s: %v, %v; want %v", name, shares, err, c.shares)
		}
		if err != nil && name != "nobody is there" && (!errors.Is(err, ErrNoCapacity) || !strings.Contains(err.Error(), "n at h:1 has room for 1")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := planDirect([]*door{away}, &Want{}, 1); errors.Is(err, ErrNoCapacity) || !errors.Is(err, away.err) {
		t.Errorf("nobody is there: %v", err)
	}
	if share := at(3, 96, 3).share(1); share != 32<<20 {
		t.Errorf("a share of %d bytes", share)
	}
	if share := at(3, 96, 3).share(2); share != 64<<20 {
		t.Errorf("a share of %d bytes for two of three cores", share)
	}
	if share := at(64, 64, 3).share(1); share != MinMemory {
		t.Errorf("a share of %d bytes, of little memory", share)
	}
}
