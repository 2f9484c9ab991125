package offload

import (
	"errors"
	"fmt"
	"strings"
)

// share is the memory of each executor, in bytes, as the database has it: an equal part for each core.
func (d *door) share(cores int) int64 {
	if d.manager.Memory == 0 {
		return 0
	}
	return max(int64(d.manager.Memory)*megabyte/int64(d.manager.Cores)*int64(cores), MinMemory)
}

// room is how many executors with so many cores, and so much memory (Want.Memory), each a manager has cores for.
func (d *door) room(want *Want) int {
	if d.err != nil {
		return 0
	}
	room := min(d.manager.Cores, d.welcome.Free) / want.cores()
	if want.Memory > 0 && d.manager.Memory > 0 {
		room = min(room, int(int64(d.manager.Memory)*megabyte/want.Memory))
	}
	return room
}

// planDirect divides executors between managers. To pack them is to give all to the first that has room for
// them, or to as many as it takes, in the order of the database; to spread them, to give one at a time to each
// that has room.
func planDirect(doors []*door, want *Want, executors int) ([]int, error) {
	shares, left := pack(doors, want, executors)
	if want.Placement == Spread {
		shares, left = spread(doors, want, executors)
	}
	if left == 0 {
		return shares, nil
	}
	var answering []int
	for i, d := range doors {
		if d.err == nil {
			answering = append(answering, i)
		}
	}
	if len(answering) == 0 {
		errs := make([]error, len(doors))
		for i, d := range doors {
			errs[i] = d.err
		}
		return nil, errors.Join(errs...)
	}
	if !want.Oversubscribe {
		return nil, classify(ErrNoCapacity, "%s", lackDirect(doors, want, executors))
	}
	for i := range left {
		shares[answering[i%len(answering)]]++
	}
	return shares, nil
}

// pack and spread return how many executors each manager gets, and how many are left over.
func pack(doors []*door, want *Want, executors int) (shares []int, left int) {
	shares = make([]int, len(doors))
	for i, d := range doors {
		if d.room(want) >= executors {
			shares[i] = executors
			return shares, 0
		}
	}
	left = executors
	for i, d := range doors {
		shares[i] = min(left, d.room(want))
		left -= shares[i]
	}
	return shares, left
}

func spread(doors []*door, want *Want, executors int) (shares []int, left int) {
	shares, left = make([]int, len(doors)), executors
	for given := true; given && left > 0; {
		given = false
		for i, d := range doors {
			if left > 0 && shares[i] < d.room(want) {
				shares[i]++
				left--
				given = true
			}
		}
	}
	return shares, left
}

// ofCores says how many cores executors are to have, if that is more than one.
func (w *Want) ofCores() string {
	if w.cores() == 1 {
		return ""
	}
	return fmt.Sprintf(" of %d cores each", w.cores())
}

// lackDirect says what is missing.
func lackDirect(doors []*door, want *Want, executors int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "offload: %d executors%s asked of the managers in the executors database", executors, want.ofCores())
	for _, d := range doors {
		if d.err != nil {
			fmt.Fprintf(&text, "; %v", d.err)
			continue
		}
		fmt.Fprintf(&text, "; %s has room for %d (%d of the %d cores that it can lend are free, the database gives it %d", d.name(), d.room(want), d.welcome.Free, d.welcome.Cores, d.manager.Cores)
		if d.manager.Memory > 0 {
			fmt.Fprintf(&text, " and %d MB", d.manager.Memory)
		}
		text.WriteString(")")
	}
	instead := "for oversubscribed executors"
	if want.cores() > 1 {
		instead = "for fewer cores each (Want.CoresPerExecutor): those of one executor are on one node"
	}
	text.WriteString("; ask for fewer, wait (Want.Wait), or ask " + instead)
	return text.String()
}
