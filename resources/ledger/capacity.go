package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/resources/api"
)

// NoCapacity says that a node has too few free cores for a lease.
type NoCapacity struct {
	Node  string
	Asked api.Resources
	Free  api.Resources
	Has   api.Resources
	// Users are those that have the other cores, in the order of their first core.
	Users []User
}

// User is one that has cores.
type User struct {
	Cores []int
	By    string // completes "core 3 is"
}

func (n *Node) noCapacity(asked int) *NoCapacity {
	refused := &NoCapacity{
		Node: n.Record.Name, Asked: api.Resources{api.Cores: int64(asked)},
		Free: n.Free(), Has: n.Record.Resources(),
	}
	index := map[string]int{}
	for i := range n.Cores {
		core := &n.Cores[i]
		var by string
		switch {
		case core.Lease != "":
			by = "lent to lease " + core.Lease
		case core.Occupant != "":
			by = "used by " + core.Occupant
		case core.Shared > 0:
			by = "shared by oversubscribed executors"
		default:
			continue
		}
		at, seen := index[by]
		if !seen {
			at = len(refused.Users)
			index[by] = at
			refused.Users = append(refused.Users, User{By: by})
		}
		refused.Users[at].Cores = append(refused.Users[at].Cores, core.ID)
	}
	return refused
}

// usersTold is how many of those that have cores an error names.
const usersTold = 8

func (e *NoCapacity) Error() string {
	var text strings.Builder
	free, has := e.Free[api.Cores], e.Has[api.Cores]
	fmt.Fprintf(&text, "%s asked, %d of %s on %s %s free", plural(e.Asked[api.Cores], "executor"), free, plural(has, "core"), e.Node, isAre(free))
	for i, user := range e.Users {
		if i == usersTold {
			fmt.Fprintf(&text, "; and so on for %d more", len(e.Users)-i)
			break
		}
		if len(user.Cores) == 1 {
			fmt.Fprintf(&text, "; core %d is %s", user.Cores[0], user.By)
		} else {
			fmt.Fprintf(&text, "; cores %s are %s", ranges(user.Cores), user.By)
		}
	}
	switch {
	case e.Asked[api.Cores] > has:
		text.WriteString("; ask for fewer, or for oversubscribed executors")
	case free > 0:
		fmt.Fprintf(&text, "; ask for at most %d, or for oversubscribed executors", free)
	default:
		text.WriteString("; ask again later, or for oversubscribed executors")
	}
	return text.String()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

func isAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// ranges writes ascending numbers as Linux does: 0-3,8.
func ranges(numbers []int) string {
	var text strings.Builder
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.Itoa(numbers[i]))
		if last > i {
			text.WriteString("-" + strconv.Itoa(numbers[last]))
		}
		i = last + 1
	}
	return text.String()
}
