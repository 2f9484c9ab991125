package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/resources/api"
)

// NoCapacity says that nodes have too few free cores, or too little free memory, for a lease.
type NoCapacity struct {
	// Executors that were asked for, and how many cores of one node each is to have.
	Executors, CoresPerExecutor int64
	// Nodes that were looked at, in the order of their names.
	Nodes []string
	// Asked, what is free and what there is, together. The memory asked for is 0 where a share would do.
	Asked api.Resources
	Free  api.Resources
	Has   api.Resources
	// Room is how many of the executors could have cores to themselves now, and Possible how many if no lease
	// were there. OnCores is how many the free cores alone would do for.
	Room, Possible, OnCores int64
	// Largest is the most memory that one of the nodes has, in bytes; 0: it is not known.
	Largest int64
	// Kept is how many of the free cores are kept for one who has waited longer, at most.
	Kept int
	// Draining are nodes that were not looked at, because they drain.
	Draining []string
	// Users are those that have the other cores, in the order of nodes and of their first core.
	Users []User
}

// User is one that has cores.
type User struct {
	Node  string
	Cores []int
	By    string // completes "core 3 is"
	Lease string // that has them to itself; empty: none has
}

// noCapacity refuses a number of executors of a size.
func noCapacity(nodes []*Node, executors int, each size, kept int) *NoCapacity {
	asked := int64(executors)
	refused := &NoCapacity{
		Executors: asked, CoresPerExecutor: each.cores,
		Asked: api.Resources{api.Cores: asked * each.cores, api.Memory: asked * each.memory},
		Free:  api.Resources{}, Has: api.Resources{}, Room: room(nodes, each), Kept: kept,
	}
	for _, node := range nodes {
		refused.Nodes = append(refused.Nodes, node.Record.Name)
		free, has := node.Free(), node.Record.Resources()
		for _, resource := range []api.Resource{api.Cores, api.Memory} {
			refused.Free[resource] += free[resource]
			refused.Has[resource] += has[resource]
		}
		refused.Largest = max(refused.Largest, has[api.Memory])
		refused.Possible += node.possible(each)
		refused.OnCores += free[api.Cores] / each.cores
		refused.Users = append(refused.Users, node.users()...)
	}
	return refused
}

// CanBeMet tells whether the nodes have enough cores and memory once leases end; if not, only other
// nodes, or the end of ranks, can help.
func (e *NoCapacity) CanBeMet() bool { return e.Executors <= e.Possible }

// users are those that have the node's cores.
func (n *Node) users() []User {
	var users []User
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
			at = len(users)
			index[by] = at
			users = append(users, User{Node: n.Record.Name, By: by, Lease: core.Lease})
		}
		users[at].Cores = append(users[at].Cores, core.ID)
	}
	return users
}

// usersTold is how many of those that have cores an error names.
const usersTold = 8

func (e *NoCapacity) Error() string {
	var text strings.Builder
	free, has := e.Free[api.Cores], e.Has[api.Cores]
	if len(e.Nodes) == 0 {
		return e.asked() + " asked, but no executor manager is registered; start one on each node that is to be lent: sublet executor-manager"
	}
	where := e.Nodes[0]
	if len(e.Nodes) > 1 {
		where = plural(int64(len(e.Nodes)), "node")
	}
	each := e.Asked[api.Memory] / max(e.Executors, 1)
	if each > e.Largest && e.Largest > 0 {
		most := where + " has " + bytesize.Format(e.Largest)
		if len(e.Nodes) > 1 {
			most = "none of " + where + " has more than " + bytesize.Format(e.Largest)
		}
		return fmt.Sprintf("executors with %s of memory each asked, but %s; ask for less memory (Want.Memory)", bytesize.Format(each), most)
	}
	lacksMemory := e.lacksMemory()
	if lacksMemory {
		e.describeMemory(&text, each, where)
	} else {
		fmt.Fprintf(&text, "%s asked, %d of %s on %s %s free", e.asked(), free, plural(has, "core"), where, isAre(free))
		if e.CoresPerExecutor > 1 && free > 0 {
			fmt.Fprintf(&text, ", which is room for %d", e.Room)
		}
	}
	e.describeUsers(&text)
	if len(e.Draining) > 0 {
		fmt.Fprintf(&text, "; %s %s", strings.Join(e.Draining, ", "), drains(len(e.Draining)))
	}
	if e.Kept > 0 {
		text.WriteString("; a lease that was asked for before waits, and what comes free is kept for it")
	}
	switch {
	case e.CoresPerExecutor > 1 && e.Possible == 0: // fewer of them would not help
		text.WriteString("; ask for " + e.instead())
	case e.CoresPerExecutor > 1 && !e.CanBeMet():
		fmt.Fprintf(&text, "; ask for at most %d, or for %s", e.Possible, e.instead())
	case e.Executors > has/e.CoresPerExecutor:
		fmt.Fprintf(&text, "; ask for fewer, or for %s", e.instead())
	case e.Kept > 0:
		fmt.Fprintf(&text, "; wait as well, or ask for %s", e.instead())
	case lacksMemory:
		e.adviseMemory(&text, each)
	case e.Room > 0:
		fmt.Fprintf(&text, "; ask for at most %d, or for %s", e.Room, e.instead())
	default:
		fmt.Fprintf(&text, "; ask again later, or for %s", e.instead())
	}
	return text.String()
}

// asked is what was asked for.
func (e *NoCapacity) asked() string {
	if e.CoresPerExecutor > 1 {
		return fmt.Sprintf("%s of %d cores each", plural(e.Executors, "executor"), e.CoresPerExecutor)
	}
	return plural(e.Executors, "executor")
}

// instead is what else could be asked for. Executors of several cores share none.
func (e *NoCapacity) instead() string {
	if e.CoresPerExecutor > 1 {
		return "fewer cores each (Want.CoresPerExecutor): those of one executor are on one node"
	}
	return "oversubscribed executors"
}

// lacksMemory tells whether there would be cores for more executors than there is memory.
func (e *NoCapacity) lacksMemory() bool { return e.Room < min(e.Executors, e.OnCores) }

// describeMemory says that it is memory that is missing.
func (e *NoCapacity) describeMemory(text *strings.Builder, each int64, where string) {
	if each == 0 {
		each = e.CoresPerExecutor * api.LeastShare
	}
	fmt.Fprintf(text, "%s with %s of memory each asked, %d of %s and %s of %s on %s are free", e.asked(), bytesize.Format(each),
		e.Free[api.Cores], plural(e.Has[api.Cores], "core"), bytesize.Format(e.Free[api.Memory]), bytesize.Format(e.Has[api.Memory]), where)
	if e.Room > 0 {
		fmt.Fprintf(text, ", which is room for %d", e.Room)
	}
}

// adviseMemory says what to do then.
func (e *NoCapacity) adviseMemory(text *strings.Builder, each int64) {
	text.WriteString("; ask ")
	if e.Room > 0 {
		fmt.Fprintf(text, "for at most %d, ", e.Room)
	}
	if each > 0 {
		text.WriteString("for less memory (Want.Memory), ")
	}
	text.WriteString("again later, or for " + e.instead())
}

// describeUsers names those that have cores, and the memory with them.
func (e *NoCapacity) describeUsers(text *strings.Builder) {
	for i, user := range e.Users {
		if i == usersTold {
			fmt.Fprintf(text, "; and so on for %d more", len(e.Users)-i)
			break
		}
		of := ""
		if len(e.Nodes) > 1 {
			of = " of " + user.Node
		}
		if len(user.Cores) == 1 {
			fmt.Fprintf(text, "; core %d%s is %s", user.Cores[0], of, user.By)
		} else {
			fmt.Fprintf(text, "; cores %s%s are %s", ranges(user.Cores), of, user.By)
		}
	}
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

func drains(n int) string {
	if n == 1 {
		return "drains"
	}
	return "drain"
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
