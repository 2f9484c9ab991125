package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/resources/api"
)

// NoCapacity says that nodes have too few free cores for a lease.
type NoCapacity struct {
	// Nodes that were looked at, in the order of their names.
	Nodes []string
	Asked api.Resources
	Free  api.Resources
	Has   api.Resources
	// Kept is how many of the free cores are kept for one who has waited longer, at most.
	Kept int
	// Lendable are the cores that are free, or will be when leases end.
	Lendable api.Resources
	// Users are those that have the other cores, in the order of nodes and of their first core.
	Users []User
}

// User is one that has cores.
type User struct {
	Node  string
	Cores []int
	By    string // completes "core 3 is"
}

func noCapacity(nodes []*Node, asked, kept int) *NoCapacity {
	refused := &NoCapacity{
		Asked: api.Resources{api.Cores: int64(asked)}, Free: api.Resources{api.Cores: 0}, Has: api.Resources{api.Cores: 0},
		Kept: kept, Lendable: api.Resources{api.Cores: 0},
	}
	for _, node := range nodes {
		refused.Nodes = append(refused.Nodes, node.Record.Name)
		refused.Free[api.Cores] += node.Free()[api.Cores]
		refused.Has[api.Cores] += node.Record.Resources()[api.Cores]
		refused.Lendable[api.Cores] += node.lendable()
		refused.Users = append(refused.Users, node.users()...)
	}
	return refused
}

// CanBeMet tells whether the nodes have enough cores once leases end; if not, only other nodes, or
// the end of ranks, can help.
func (e *NoCapacity) CanBeMet() bool { return e.Asked[api.Cores] <= e.Lendable[api.Cores] }

// lendable counts the cores that nobody uses without a lease.
func (n *Node) lendable() (count int64) {
	for i := range n.Cores {
		if n.Cores[i].Occupant == "" {
			count++
		}
	}
	return count
}

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
			users = append(users, User{Node: n.Record.Name, By: by})
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
		return plural(e.Asked[api.Cores], "executor") + " asked, but no executor manager is registered; start one on each node that is to be lent: sublet executor-manager"
	}
	where := e.Nodes[0]
	if len(e.Nodes) > 1 {
		where = plural(int64(len(e.Nodes)), "node")
	}
	fmt.Fprintf(&text, "%s asked, %d of %s on %s %s free", plural(e.Asked[api.Cores], "executor"), free, plural(has, "core"), where, isAre(free))
	for i, user := range e.Users {
		if i == usersTold {
			fmt.Fprintf(&text, "; and so on for %d more", len(e.Users)-i)
			break
		}
		of := ""
		if len(e.Nodes) > 1 {
			of = " of " + user.Node
		}
		if len(user.Cores) == 1 {
			fmt.Fprintf(&text, "; core %d%s is %s", user.Cores[0], of, user.By)
		} else {
			fmt.Fprintf(&text, "; cores %s%s are %s", ranges(user.Cores), of, user.By)
		}
	}
	if e.Kept > 0 {
		fmt.Fprintf(&text, "; a lease of %s was asked for before and waits", plural(int64(e.Kept), "executor"))
	}
	switch {
	case e.Asked[api.Cores] > has:
		text.WriteString("; ask for fewer, or for oversubscribed executors")
	case e.Kept > 0:
		text.WriteString("; wait as well, or ask for oversubscribed executors")
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
