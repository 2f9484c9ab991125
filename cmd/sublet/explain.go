package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
)

func explainCommand() *command {
	return &command{
		name: "explain", synopsis: "[ID]", summary: "say what a request for a lease waits for, or where a lease is",
		details: `
Of a request that waits it says what is missing, who has it, and when it may come free. A request has
the id that its lease will have; "sublet status" shows those that wait, and without an id all of them
are explained. Of a lease it says on which nodes and cores it is, and whether these are heard of.

A lease is on-the-way from its grant until the executor managers have it, for 20 seconds at most, and
held from then on, and ending once somebody has released it. Nobody knows when a program gives a lease back: there is no time to tell.

--output json prints one object, and without an id an array of them: id, state (waiting, on-the-way,
held, ending), waiting (executors, cores_per_executor, memory, placement, time_limit (nanoseconds), since, until, position,
reason, asked, free, has, room, can_be_met, behind, draining, holders), lease and parts (node, state, address, seen, executors). --output quiet
prints the state, and without an id the ids.`,
		examples: []string{"sublet explain", "sublet explain 1f6e0a2b9c3d", "sublet explain 1f6e0a2b9c3d --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) > 1 {
					return usagef("explain: one lease or request, or none for all that wait, not %d; see: sublet help explain", len(args))
				}
				return withClient(*dir, func(ctx context.Context, client *api.Client) error {
					if len(args) == 0 {
						return explainWaiting(ctx, client, *format, stdout)
					}
					explanation, err := client.Explain(ctx, args[0])
					if err != nil {
						return err
					}
					return writeExplanation(stdout, *format, explanation)
				})
			}
		},
	}
}

// explainWaiting explains all requests that wait.
func explainWaiting(ctx context.Context, client *api.Client, format outputFormat, stdout io.Writer) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	explanations := []api.Explanation{}
	for _, waiting := range status.Waiting {
		explanation, err := client.Explain(ctx, waiting.ID)
		if errors.Is(err, api.ErrUnknownLease) {
			continue // it has given up, or its lease has ended already
		}
		if err != nil {
			return err
		}
		explanations = append(explanations, explanation)
	}
	switch format {
	case outputJSON:
		return output.WriteJSON(stdout, explanations)
	case outputQuiet:
		for _, explanation := range explanations {
			fmt.Fprintln(stdout, explanation.ID)
		}
		return nil
	}
	if len(explanations) == 0 {
		_, err := fmt.Fprintln(stdout, "nobody waits for a lease")
		return err
	}
	for i, explanation := range explanations {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if err := writeExplanation(stdout, format, explanation); err != nil {
			return err
		}
	}
	return nil
}

func writeExplanation(w io.Writer, format outputFormat, explanation api.Explanation) error {
	switch format {
	case outputJSON:
		return output.WriteJSON(w, explanation)
	case outputQuiet:
		_, err := fmt.Fprintln(w, explanation.State)
		return err
	}
	if explanation.Waiting != nil {
		return writeWaiting(w, *explanation.Waiting)
	}
	rows := append(leaseRows(*explanation.Lease), [2]string{"state", leaseStateText(explanation)})
	if err := writeRows(w, rows); err != nil {
		return err
	}
	return partList.write(w, outputTable, explanation.Parts)
}

func leaseStateText(explanation api.Explanation) string {
	if explanation.State == api.LeaseOnTheWay {
		return fmt.Sprintf("%s: granted, and no executor manager has reported it yet", explanation.State)
	}
	return fmt.Sprintf("%s by the executor managers of %s", explanation.State, count(len(explanation.Lease.Nodes()), "node"))
}

var partList = list[api.Part]{
	name:   func(p api.Part) string { return p.Node },
	header: "NODE\tSTATE\tADDRESS\tHEARD OF\tEXECUTORS\tCORES\tMEMORY",
	row: func(p api.Part) []string {
		var cores []int
		memory, lost, shared := int64(0), 0, 0
		for _, e := range p.Executors {
			switch {
			case e.Lost:
				lost++
				continue
			case e.Oversubscribed:
				shared++
			default:
				cores = slices.AppendSeq(cores, e.AllCores())
			}
			memory += e.Memory
		}
		state, seen := string(p.State), "-"
		if state == "" {
			state = "not registered"
		} else {
			seen = age(p.Seen) + " ago"
		}
		executors, where := fmt.Sprint(len(p.Executors)-lost), cpus.Format(cores)
		if lost > 0 {
			executors += fmt.Sprintf(" (%d lost)", lost)
		}
		if shared > 0 {
			where = strings.TrimPrefix(fmt.Sprintf("%s, %d shared", where, shared), ", ")
		}
		return []string{p.Node, state, orDash(p.Address), seen, executors, orDash(where), bytesize.Format(memory)}
	},
}

// wants says what a request is for.
func wants(waiting api.Waiting) string {
	text := count(waiting.Executors, "executor")
	if waiting.CoresPerExecutor > 1 {
		text += fmt.Sprintf(" of %d cores each", waiting.CoresPerExecutor)
	}
	if waiting.Memory > 0 {
		text += " with " + bytesize.Format(waiting.Memory) + " of memory each"
	}
	if waiting.Placement == api.Spread {
		text += ", spread over nodes"
	}
	if waiting.TimeLimit > 0 {
		text += ", for " + waiting.TimeLimit.String()
	}
	return text
}

func writeWaiting(w io.Writer, waiting api.Waiting) error {
	first := ""
	if waiting.Behind != "" {
		first = "request " + waiting.Behind + ", which was asked for before: what comes free is kept for it"
	}
	hope := "as soon as enough leases end"
	switch {
	case len(waiting.Has) == 0 && len(waiting.Draining) > 0:
		hope = "when a node is resumed, or another executor manager registers"
	case !waiting.CanBeMet:
		hope = "only when another executor manager registers, or programs without leases end: leases alone can not give back so much"
	}
	err := writeRows(w, [][2]string{
		{"request", waiting.ID},
		{"user", fmt.Sprintf("%s (%d)", waiting.User, waiting.UID)},
		{"account", waiting.Account},
		{"wants", wants(waiting)},
		{"waits", fmt.Sprintf("for %s, and %v more; number %d of those who wait", age(waiting.Since), max(time.Until(waiting.Until), 0).Round(time.Second), waiting.Position)},
		{"missing", waiting.Reason},
		{"behind", first},
		{"draining", strings.Join(waiting.Draining, ", ")},
		{"granted", hope},
	})
	if err != nil || len(waiting.Holders) == 0 {
		return err
	}
	return holderList.write(w, outputTable, waiting.Holders)
}

var holderList = list[api.Holder]{
	name:   func(h api.Holder) string { return h.Node },
	header: "NODE\tCORES\tARE\tCOME FREE",
	row: func(h api.Holder) []string {
		return []string{h.Node, cpus.Format(h.Cores), h.By, h.Free}
	},
}
