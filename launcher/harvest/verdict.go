package harvest

import (
	"slices"
	"strings"

	"github.com/sublet-hpc/sublet/slurm"
)

// explain says of each node of the partition what is done with it.
func (d *decider) explain() {
	because := map[string]string{}
	for _, r := range d.GiveBack {
		because[r.Node] = r.Because
	}
	for _, node := range d.snapshot.Nodes {
		if !slices.Contains(node.Partitions, d.policy.Partition) {
			continue
		}
		v := Verdict{Node: node.Name, State: stateText(node), Job: d.ours[node.Name].Job}
		v.Use, v.Why = d.use(node, because)
		d.Nodes = append(d.Nodes, v)
	}
	slices.SortFunc(d.Nodes, func(a, b Verdict) int { return compareNames(a.Node, b.Node) })
}

func (d *decider) use(node slurm.Node, because map[string]string) (use Use, why string) {
	r, ours := d.ours[node.Name]
	name := node.Name
	switch {
	case ours && d.returned[r.Name]:
		return GiveBack, because[name]
	case ours && r.leaving():
		return Leaving, r.Why
	case ours && r.running():
		return Harvested, d.harvested(name)
	case ours && r.Job == 0:
		return AskedFor, "sbatch has not said whether there is a job"
	case ours:
		return AskedFor, d.notStarted(r)
	case slices.Contains(d.Submit, name):
		return Take, "it is idle, and nobody wants it"
	}
	if why := forbidden(node, d.policy.Partition); why != "" {
		return NotUsed, why
	}
	if why := occupied(node); why != "" {
		return NotUsed, why
	}
	if why := d.wanted[name]; why != "" {
		return LeftIdle, why
	}
	return LeftIdle, d.why[name]
}

// harvested says what a node of ours is good for.
func (d *decider) harvested(name string) string {
	if !d.snapshot.Demand.Known {
		return "the resource manager does not say whether it is registered"
	}
	leases, registered := d.snapshot.Demand.Registered[name]
	switch {
	case !registered:
		return "its executor manager has not registered yet"
	case leases == 0:
		return "it has no lease"
	}
	return "it has " + countOf(leases, "lease", "leases")
}

// stateText is a node's state as Slurm's own commands write it: IDLE+DRAIN.
func stateText(node slurm.Node) string {
	return strings.ToLower(strings.Join(append([]string{string(node.State)}, node.Flags...), "+"))
}
