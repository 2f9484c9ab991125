package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/resources/api"
)

// minInterval is the shortest between two looks.
const minInterval = 50 * time.Millisecond

func statusCommand() *command {
	return &command{
		name: "status", summary: "show the resource manager, nodes, cores, leases and who waits",
		details: `
One screen: the resource manager; nodes by state, with those that do not simply lend; cores and
memory lent and free; leases; what "sublet slurm harvest" does; and the requests that wait, with what they
are missing.

--watch looks again every second (--interval), until Ctrl-C, also while the resource manager does not
answer. On a terminal it keeps to one screen.

--output json prints one object: version, url, host, pid, directory, started, now, nodes (by state),
cores (total, lent, free, occupied, draining), memory (total, lent, free, in bytes), leases, executors,
attention (nodes, as "sublet node list" has them), waiting (as "sublet explain" has them, without
holders), harvest (if "sublet slurm harvest" ever ran for this run directory: running, host, pid, partition,
on_demand, nodes, pending, leaving, max_nodes, node_hours, jobs_ended, submissions_last_hour, looked, limit, error,
slurm_calls (by command: calls, failures, timeouts, refusals, skipped, time in nanoseconds), failures, paused_until); with --watch one object in each line. --output quiet prints ok if nodes lend and none is
silent, and else what is wrong, in one word: no-nodes, silent.`,
		examples: []string{"sublet status", "sublet status --watch", "sublet status --output json | jq .cores.free"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			watch := flags.BoolP("watch", "w", false, "look again and again, until Ctrl-C")
			interval := options.Duration(time.Second)
			flags.Var(&interval, "interval", "with --watch: how long between two looks")
			return func(args []string, stdout, _ io.Writer) error {
				if err := noArguments("status", args); err != nil {
					return err
				}
				if flags.Changed("interval") && (!*watch || time.Duration(interval) < minInterval) {
					return usagef("status: --interval %v: it goes with --watch, and is at least %v", time.Duration(interval), minInterval)
				}
				directory, err := runDirectory(*dir)
				if err != nil {
					return err
				}
				return withClient(*dir, func(ctx context.Context, client *api.Client) error {
					look := func(w io.Writer) error { return writeStatus(ctx, client, directory, *format, w) }
					if *watch {
						return watchStatus(ctx, look, *format, time.Duration(interval), stdout)
					}
					return look(stdout)
				})
			}
		},
	}
}

// watchStatus shows the status again and again until ctx ends. Only the first look must succeed.
func watchStatus(ctx context.Context, look func(io.Writer) error, format outputFormat, interval time.Duration, stdout io.Writer) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for first := true; ; first = false {
		text := &bytes.Buffer{}
		err := look(text)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil && format == outputTable:
			fmt.Fprintln(text, err)
		case err != nil:
			text.Reset() // who reads it waits for the next line
		}
		if err := show(stdout, text.Bytes(), format, first); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// show prints one look: on a terminal in the place of the last, elsewhere behind it.
func show(stdout io.Writer, text []byte, format outputFormat, first bool) error {
	if format == outputJSON && len(text) > 0 {
		line := &bytes.Buffer{}
		if err := json.Compact(line, text); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "%s\n", bytes.TrimSpace(line.Bytes()))
		return err
	}
	file, isFile := stdout.(*os.File)
	if format != outputTable || !isFile || !term.IsTerminal(int(file.Fd())) {
		if !first && format == outputTable {
			fmt.Fprintln(stdout)
		}
		_, err := stdout.Write(text)
		return err
	}
	const cleared = "\x1b[H\x1b[2J"
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if width, height, err := term.GetSize(int(file.Fd())); err == nil {
		lines = fit(lines, width, height)
	}
	_, err := fmt.Fprint(stdout, cleared+strings.Join(lines, "\n"))
	return err
}

// fit keeps what a screen has room for, and says how much it has not.
func fit(lines []string, width, height int) []string {
	if height > 1 && len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1:height-1], fmt.Sprintf("... and %d lines more", more))
	}
	for i, line := range lines {
		if letters := []rune(line); width > 0 && len(letters) > width {
			lines[i] = string(letters[:width])
		}
	}
	return lines
}

// statusRecord is what --output json prints.
type statusRecord struct {
	api.Status
	Harvest *harvest.Summary `json:"harvest,omitempty"`
}

func writeStatus(ctx context.Context, client *api.Client, directory string, format outputFormat, w io.Writer) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	harvested, err := harvest.Summarize(directory, time.Now())
	if err != nil {
		harvested = &harvest.Summary{Error: err.Error()}
	}
	switch format {
	case outputJSON:
		return output.WriteJSON(w, statusRecord{status, harvested})
	case outputQuiet:
		_, err := fmt.Fprintln(w, health(status))
		return err
	}
	leases, err := client.Leases(ctx)
	if err != nil {
		return err
	}
	return writeScreen(w, status, leases, harvested)
}

// health is the status in one word.
func health(status api.Status) string {
	switch {
	case status.Nodes[api.NodeSilent] > 0:
		return "silent"
	case status.Nodes[api.NodeLending] == 0:
		return "no-nodes"
	}
	return "ok"
}

// shownLeases is how many leases the screen shows.
const shownLeases = 10

func writeScreen(w io.Writer, status api.Status, leases []api.Lease, harvested *harvest.Summary) error {
	nodes, total := "", 0
	for _, state := range api.NodeStates {
		if n := status.Nodes[state]; n > 0 {
			nodes += fmt.Sprintf(", %d %s", n, state)
			total += n
		}
	}
	if nodes == "" {
		nodes = "; start an executor manager on each node that is to be lent: sublet executor-manager"
	}
	cores := fmt.Sprintf("%d: %d lent, %d free, %d used without a lease", status.Cores.Total, status.Cores.Lent, status.Cores.Free, status.Cores.Occupied)
	if status.Cores.Draining > 0 {
		cores += fmt.Sprintf(", %d on nodes that drain", status.Cores.Draining)
	}
	rows := [][2]string{
		{"resource manager", fmt.Sprintf("%s, process %d on %s, version %s, for %s", status.URL, status.PID, status.Host, status.Version, status.Now.Sub(status.Started).Round(time.Second))},
		{"run directory", status.Directory},
		{"nodes", fmt.Sprintf("%d%s", total, nodes)},
		{"cores", cores},
		{"memory", fmt.Sprintf("%s: %s lent, %s free", bytesize.Format(status.Memory.Total), bytesize.Format(status.Memory.Lent), bytesize.Format(status.Memory.Free))},
		{"leases", fmt.Sprintf("%d with %s", status.Leases, count(status.Executors, "executor"))},
		{"waiting", count(len(status.Waiting), "request")},
	}
	if harvested != nil {
		name := "harvest"
		for _, line := range harvested.Lines(time.Now()) {
			rows = append(rows, [2]string{name, line})
			name = ""
		}
	}
	err := writeRows(w, rows)
	if err == nil && len(status.Attention) > 0 {
		fmt.Fprintln(w)
		err = attentionList.write(w, outputTable, status.Attention)
	}
	if err == nil && len(status.Waiting) > 0 {
		fmt.Fprintln(w)
		err = waitingList.write(w, outputTable, status.Waiting)
	}
	if err != nil || len(leases) == 0 {
		return err
	}
	fmt.Fprintln(w)
	more := len(leases) - shownLeases
	if err := leaseList.write(w, outputTable, leases[:min(len(leases), shownLeases)]); err != nil || more <= 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "and %d more: sublet lease list\n", more)
	return err
}

var attentionList = list[api.NodeStatus]{
	header: "NODE\tSTATE\tLEASES",
	row: func(n api.NodeStatus) []string {
		state := stateText(n)
		if n.State == api.NodeSilent {
			state += ", heard of " + age(n.Seen) + " ago"
		}
		return []string{n.Name, state, orDash(strings.Join(n.Leases, ","))}
	},
}

var waitingList = list[api.Waiting]{
	header: "REQUEST\tUSER\tEXECUTORS\tWAITS\tFOR",
	row: func(w api.Waiting) []string {
		return []string{w.ID, w.User, fmt.Sprint(w.Executors), age(w.Since), w.Reason}
	},
}
