package program

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/internal/collective"
)

// claim is how much memory a rank is going to need, and what its node has, in bytes.
type claim struct {
	Node  string
	Needs float64
	Has   float64
}

// CheckMemory refuses what would only fail half way, when the kernel has killed something: ranks that together need more
// memory than their node has. needs are this rank's bytes. The error is the same on all ranks, which all call it.
func CheckMemory(world *collective.World, needs float64) error {
	own := claim{Needs: needs}
	var info unix.Sysinfo_t
	err := unix.Sysinfo(&info)
	if err == nil {
		own.Has = float64(info.Totalram) * float64(info.Unit)
		own.Node, err = os.Hostname()
	}
	claims, err := collective.GatherValues(world, own, err)
	if err != nil {
		return err
	}
	err = world.Agree(refuse(claims))
	var agreed *collective.RankError
	if errors.As(err, &agreed) {
		agreed.All = true // rank 0 has only looked at what all have said
	}
	return err
}

// refuse names the first node that has too little.
func refuse(claims []claim) error {
	needs, ranks := map[string]float64{}, map[string]int{}
	for _, one := range claims {
		needs[one.Node] += one.Needs
		ranks[one.Node]++
	}
	for _, one := range claims {
		if needs[one.Node] > one.Has {
			const gib = 1 << 30
			who := fmt.Sprintf("%d of the ranks are on node %s and need", ranks[one.Node], one.Node)
			if ranks[one.Node] == 1 {
				who = fmt.Sprintf("the rank on node %s needs", one.Node)
			}
			return fmt.Errorf("%s %.3g GiB of memory; there are %.3g GiB", who, needs[one.Node]/gib, one.Has/gib)
		}
	}
	return nil
}
