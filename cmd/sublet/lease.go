package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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

func leaseCommand() *command {
	return noun{
		name: "lease", summary: "show the leases that last, and end them",
		details: `
"sublet lease list" lists the leases of the resource manager, the oldest first. LOST counts executors
that are gone for good, MEMORY is what each executor may use (of different ones the least), TIME LEFT
how long leases with a time limit last at most, and ALLOCATION LEFT how long the first allocation does that they
have executors in: these they lose then.

"sublet lease show ID" says where each of its executors is, until when it lasts if nobody renews
it, how much is left of its time limit, and when the first of its nodes' allocations ends. "sublet explain ID" says more about leases, and about requests that wait.

"sublet lease release ID..." ends leases: their executors are killed within a second or so, and their
cores are free then; "sublet explain" calls them ending until then. A program that still runs takes it as a loss, and asks for as many executors anew: to have
cores for yourself, end the program, or drain the node.

--output json prints one array, and of show one object: id, uid, user, account, executors (node, core, more_cores,
oversubscribed, memory in bytes, replaced, lost), granted, expires, until (if it
has a time limit), allocation_ends (the first, if one does); of release an array of id and
released. --output quiet prints ids.`,
		examples: []string{
			"sublet lease list",
			"sublet lease list --output json",
			"sublet lease show 1f6e0a2b9c3d",
			"sublet lease release 1f6e0a2b9c3d",
		},
		declare: func(*pflag.FlagSet) []verb {
			return []verb{
				{name: "list", run: func(ctx context.Context, client *api.Client, _ []string, format outputFormat, stdout io.Writer) error {
					leases, err := client.Leases(ctx)
					if err != nil {
						return err
					}
					return leaseList.write(stdout, format, leases)
				}},
				{name: "show", takes: takesOne, run: showLease},
				{name: "release", takes: takesSome, run: func(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error {
					released, err := each(names, func(id string) error { return client.End(ctx, id) })
					return errors.Join(writeDone(stdout, format, "id", "released", released), err)
				}},
			}
		},
	}.command()
}

var leaseList = list[api.Lease]{
	name:   func(l api.Lease) string { return l.ID },
	header: "LEASE\tUSER\tEXECUTORS\tLOST\tMEMORY\tNODES\tAGE\tTIME LEFT\tALLOCATION LEFT",
	row: func(l api.Lease) []string {
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
		return []string{l.ID, l.User, strconv.Itoa(len(l.Executors)), strconv.Itoa(lost), each, orDash(strings.Join(l.Nodes(), ",")), age(l.Granted), orDash(timeLeft(l.Until)), orDash(timeLeft(l.AllocationEnds))}
	},
}

func showLease(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error {
	lease, err := client.Lease(ctx, names[0])
	if err != nil {
		return err
	}
	switch format {
	case outputJSON:
		return output.WriteJSON(stdout, lease)
	case outputQuiet:
		_, err := fmt.Fprintln(stdout, lease.ID)
		return err
	}
	if err := writeRows(stdout, leaseRows(lease)); err != nil {
		return err
	}
	var placed []api.Placed
	for i, e := range lease.Executors {
		placed = append(placed, api.Placed{Index: i, Executor: e})
	}
	return executorList.write(stdout, outputTable, placed)
}

// timeLeft is what is left until a time; empty: there is none.
func timeLeft(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return max(time.Until(until), 0).Round(time.Second).String()
}

// leaseAllocationText says when a lease's first allocation ends; empty: none does.
func leaseAllocationText(lease api.Lease) string {
	if lease.AllocationEnds.IsZero() {
		return ""
	}
	text := fmt.Sprintf("ends %s, in %s", lease.AllocationEnds.Local().Format(time.DateTime), timeLeft(lease.AllocationEnds))
	if len(lease.Nodes()) > 1 {
		text += " (of several nodes' the first)"
	}
	return text
}

func leaseRows(lease api.Lease) [][2]string {
	lost := 0
	for _, e := range lease.Executors {
		if e.Lost {
			lost++
		}
	}
	executors := strconv.Itoa(len(lease.Executors) - lost)
	if cores := lease.Resources()[api.Cores]; cores > int64(len(lease.Executors)-lost) {
		executors += fmt.Sprintf(" on %d cores", cores)
	}
	if lost > 0 {
		executors += fmt.Sprintf(", and %d lost", lost)
	}
	expires := ""
	if !lease.Expires.IsZero() {
		expires = fmt.Sprintf("in %v, unless it is renewed", max(time.Until(lease.Expires), 0).Round(time.Second))
	}
	return [][2]string{
		{"lease", lease.ID},
		{"user", fmt.Sprintf("%s (%d)", lease.User, lease.UID)},
		{"account", lease.Account},
		{"executors", executors},
		{"granted", age(lease.Granted) + " ago"},
		{"expires", expires},
		{"time left", timeLeft(lease.Until)},
		{"allocation", leaseAllocationText(lease)},
	}
}

var executorList = list[api.Placed]{
	name:   func(p api.Placed) string { return strconv.Itoa(p.Index) },
	header: "EXECUTOR\tNODE\tCORES\tMEMORY\tREPLACED\tSTATE",
	row: func(p api.Placed) []string {
		core, state := cpus.Format(slices.Collect(p.AllCores())), "has its core to itself"
		if p.CoreCount() > 1 {
			state = "has its cores to itself"
		}
		switch {
		case p.Lost:
			state = "lost"
		case p.Core == api.NoCore:
			core, state = "-", "shares all cores of its node"
		case p.Oversubscribed:
			state = "shares its core"
		}
		return []string{strconv.Itoa(p.Index), orDash(p.Node), core, bytesize.Format(p.Memory), strconv.Itoa(p.Replaced), state}
	},
}
