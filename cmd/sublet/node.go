package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
)

func nodeCommand() *command {
	return noun{
		name: "node", summary: "show, drain, resume and remove the nodes whose cores are lent",
		details: `
"sublet node list" lists the nodes that are registered with the resource manager. FREE is how many
of its cores can be lent now, FREE MEMORY how much of its MEMORY, and USED BY says who uses cores
without a lease. STATE is one of
  lending   new leases can have its free cores
  draining  it takes no new leases, and still has some
  drained   it takes no new leases and has none: it can be shut down
  silent    its executor manager should have been heard of; it is written off after three intervals
            (1 s up to 100 nodes; then as many hundredths of a second as there are nodes)
  gone      (of show alone) it drains, and has no executor manager at present

"sublet node show NAME" says all that is known of one.

"sublet node drain NAME..." lets the leases of nodes go on, and no new ones begin; --reason says why,
to whoever looks. It holds until "sublet node resume NAME...", also when the executor manager is
started again meanwhile.

"sublet node remove NAME..." has nodes forgotten, and their executor managers end. While leases have
executors there it is refused; --force takes these from them.

Names can be lists of Slurm's: n[1-4].

--output json prints one array, and of show one object: name, uid, user, account, job (of Slurm's, if any), cores, numa
(by core), memory (bytes), address, boot, socket, pid, state, drain (if so: reason, since), free (cores, memory), leases,
occupants (if any), seen, interval (nanoseconds; of its manager's reports); of remove an array of name and removed. --output quiet prints names.`,
		examples: []string{
			"sublet node list",
			"sublet node list --output json",
			"sublet node show n1",
			"sublet node drain n[1-4] --reason 'new kernel'",
			"sublet node resume n[1-4]",
			"sublet node remove n7",
		},
		declare: func(flags *pflag.FlagSet) []verb {
			reason := flags.String("reason", "", "drain: `WHY`, in one line")
			force := flags.Bool("force", false, "remove: also from leases that have executors there")
			return []verb{
				{name: "list", run: func(ctx context.Context, client *api.Client, _ []string, format outputFormat, stdout io.Writer) error {
					nodes, err := client.Nodes(ctx, "")
					if err != nil {
						return err
					}
					return nodeList.write(stdout, format, nodes)
				}},
				{name: "show", takes: takesOne, run: showNode},
				{name: "drain", takes: takesSome, flags: []string{"reason"}, run: changeNodes(func(ctx context.Context, client *api.Client, name string) error {
					return client.Drain(ctx, name, *reason)
				})},
				{name: "resume", takes: takesSome, run: changeNodes(func(ctx context.Context, client *api.Client, name string) error {
					return client.Resume(ctx, name)
				})},
				{name: "remove", takes: takesSome, flags: []string{"force"}, run: func(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error {
					removed, err := each(names, func(name string) error { return client.Remove(ctx, name, *force) })
					return errors.Join(writeDone(stdout, format, "name", "removed", removed), err)
				}},
			}
		},
	}.command()
}

// changeNodes does something with nodes, and shows how they are then.
func changeNodes(change func(context.Context, *api.Client, string) error) func(context.Context, *api.Client, []string, outputFormat, io.Writer) error {
	return func(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error {
		nodes := []api.NodeStatus{}
		_, err := each(names, func(name string) error {
			if err := change(ctx, client, name); err != nil {
				return err
			}
			node, err := client.Node(ctx, name)
			if errors.Is(err, api.ErrUnknownNode) {
				return nil // it was gone and drained, and is now forgotten
			}
			if err != nil {
				return err
			}
			nodes = append(nodes, node)
			return nil
		})
		if len(nodes) == 0 && err != nil && format == outputTable {
			return err // a heading above nothing would say nothing
		}
		return errors.Join(nodeList.write(stdout, format, nodes), err)
	}
}

var nodeList = list[api.NodeStatus]{
	name:   func(n api.NodeStatus) string { return n.Name },
	header: "NAME\tSTATE\tADDRESS\tCORES\tFREE\tMEMORY\tFREE MEMORY\tLEASES\tUSED BY",
	row: func(n api.NodeStatus) []string {
		return []string{
			n.Name, string(n.State), orDash(n.Address), strconv.Itoa(len(n.Cores)), fmt.Sprint(n.Free[api.Cores]),
			bytesize.Format(n.Memory), bytesize.Format(n.Free[api.Memory]), orDash(strings.Join(n.Leases, ",")), orDash(strings.Join(occupantsOf(n), "; ")),
		}
	},
}

// occupantsOf says who uses which cores without a lease.
func occupantsOf(n api.NodeStatus) (list []string) {
	for _, core := range n.Cores {
		if by := n.Occupants[core]; by != "" {
			list = append(list, fmt.Sprintf("core %d: %s", core, by))
		}
	}
	return list
}

func showNode(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error {
	node, err := client.Node(ctx, names[0])
	if err != nil {
		return err
	}
	switch format {
	case outputJSON:
		return output.WriteJSON(stdout, node)
	case outputQuiet:
		_, err := fmt.Fprintln(stdout, node.Name)
		return err
	}
	rows := [][2]string{{"node", node.Name}, {"state", stateText(node)}}
	if node.State != api.NodeGone {
		rows = append(rows, [][2]string{
			{"user", fmt.Sprintf("%s (%d)", node.User, node.UID)},
			{"account", node.Account},
			{"job", jobText(node.Job)},
			{"address", node.Address},
			{"process", strconv.Itoa(node.PID)},
			{"cores", fmt.Sprintf("%d (%s), %d free", len(node.Cores), orDash(cpus.Format(node.Cores)), node.Free[api.Cores])},
			{"memory", fmt.Sprintf("%s, %s free", bytesize.Format(node.Memory), bytesize.Format(node.Free[api.Memory]))},
			{"leases", orDash(strings.Join(node.Leases, ", "))},
			{"used by", strings.Join(occupantsOf(node), "; ")},
			{"heard of", fmt.Sprintf("%s ago; it reports every %v", age(node.Seen), node.Interval)},
			{"allocation", allocationText(node.Outlook)},
		}...)
	}
	return writeRows(stdout, rows)
}

// jobText is the number of Slurm's job; empty: there is none.
func jobText(job uint32) string {
	if job == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(job), 10)
}

// allocationText says when a node's allocation ends, and from when on it takes no new leases.
func allocationText(o api.Outlook) string {
	if o.Ends.IsZero() {
		return "-"
	}
	text := "ends " + o.Ends.Local().Format(time.DateTime)
	if !o.LendsUntil.IsZero() {
		text += ", no new leases from " + o.LendsUntil.Local().Format(time.TimeOnly) + " on"
	}
	return text
}

// stateText is a node's state, with the drain's reason.
func stateText(node api.NodeStatus) string {
	text := string(node.State)
	if node.Drain != nil {
		if !slices.Contains([]api.NodeState{api.NodeDraining, api.NodeDrained}, node.State) {
			text += ", drains"
		}
		text += " for " + age(node.Drain.Since)
		if node.Drain.Reason != "" {
			text += ": " + node.Drain.Reason
		}
	}
	return text
}
