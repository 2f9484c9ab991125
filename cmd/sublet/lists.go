package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/resources/api"
)

// listCommand is a noun whose one verb is list.
func listCommand[T any](noun, summary, details string, get func(*api.Client, context.Context) ([]T, error), name func(T) string, header string, row func(T) []string) *command {
	return &command{
		name: noun, synopsis: "list", verbs: []string{"list"}, summary: summary, details: details,
		examples: []string{"sublet " + noun + " list", "sublet " + noun + " list --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, output := directoryFlag(flags), outputFlag(flags)
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) == 0 || args[0] != "list" {
					return usagef("%s: what with it? sublet %s list; see: sublet help %s", noun, noun, noun)
				}
				if err := noArguments(noun+" list", args[1:]); err != nil {
					return err
				}
				client, err := api.Open(*dir)
				if err != nil {
					return err
				}
				defer client.Close()
				ctx, stop := untilSignal()
				defer stop()
				records, err := get(client, ctx)
				if err != nil {
					return err
				}
				return writeList(stdout, *output, records, name, header, row)
			}
		},
	}
}

func writeList[T any](w io.Writer, output outputFormat, records []T, name func(T) string, header string, row func(T) []string) error {
	switch output {
	case outputJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(records)
	case outputQuiet:
		for _, record := range records {
			if _, err := fmt.Fprintln(w, name(record)); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, header)
	for _, record := range records {
		fmt.Fprintln(table, strings.Join(row(record), "\t"))
	}
	return table.Flush()
}

func nodeCommand() *command {
	return listCommand("node", "show the nodes whose cores are lent", `
"sublet node list" lists the nodes that are registered with the resource manager. FREE is how many
of its cores can be lent now, FREE MEMORY how much of its MEMORY, and USED BY says who uses cores
without a lease. --output json prints one array: name, uid, user, account, cores, memory (bytes), address,
boot, socket, pid, draining (if so), free (cores, memory), leases, occupants (if any), seen. --output
quiet prints names.`,
		func(c *api.Client, ctx context.Context) ([]api.NodeStatus, error) { return c.Nodes(ctx, "") },
		func(n api.NodeStatus) string { return n.Name },
		"NAME\tADDRESS\tCORES\tFREE\tMEMORY\tFREE MEMORY\tLEASES\tUSED BY",
		func(n api.NodeStatus) []string {
			var occupants []string
			for _, core := range n.Cores {
				if by := n.Occupants[core]; by != "" {
					occupants = append(occupants, fmt.Sprintf("core %d: %s", core, by))
				}
			}
			return []string{n.Name, n.Address, strconv.Itoa(len(n.Cores)), fmt.Sprint(n.Free[api.Cores]), bytesize.Format(n.Memory), bytesize.Format(n.Free[api.Memory]), orDash(strings.Join(n.Leases, ",")), orDash(strings.Join(occupants, "; "))}
		})
}

func leaseCommand() *command {
	return listCommand("lease", "show the leases that last", `
"sublet lease list" lists the leases of the resource manager, the oldest first. LOST counts executors
that are gone for good, MEMORY is what each executor may use (of different ones the least). --output
json prints one array: id, uid, user, account, executors (node, core, oversubscribed, memory in bytes,
replaced, lost), granted, expires. --output quiet prints ids.`,
		func(c *api.Client, ctx context.Context) ([]api.Lease, error) { return c.Leases(ctx) },
		func(l api.Lease) string { return l.ID },
		"LEASE\tUSER\tEXECUTORS\tLOST\tMEMORY\tNODES\tAGE",
		func(l api.Lease) []string {
			lost, memory := 0, int64(math.MaxInt64)
			for _, e := range l.Executors {
				if e.Lost {
					lost++
				} else {
					memory = min(memory, e.Memory)
				}
			}
			each := "-" // all are lost
			if lost < len(l.Executors) {
				each = bytesize.Format(memory)
			}
			age := max(time.Since(l.Granted), 0).Round(time.Second)
			return []string{l.ID, l.User, strconv.Itoa(len(l.Executors)), strconv.Itoa(lost), each, orDash(strings.Join(l.Nodes(), ",")), age.String()}
		})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
