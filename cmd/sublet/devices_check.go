package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/slurm"
)

// checked is one line of what check says.
type checked struct {
	Device string `json:"device,omitempty"` // empty: of a provider without one
	Node   string `json:"node,omitempty"`   // whose device it is
	From   string `json:"from,omitempty"`   // from where it was tried
	devices.Trial
}

// check tries the devices of this machine, or those of the second node from the first.
func (o *devicesOptions) check(ctx context.Context, nodes []string, report, stderr io.Writer) error {
	var from, to string // empty: this machine
	for _, node := range nodes {
		if names, err := slurm.Expand(node); err != nil || len(names) != 1 {
			return usagef("devices check: %q is not the name of one node", node)
		}
	}
	if len(nodes) == 2 {
		from, to = remoteName(nodes[0]), remoteName(nodes[1])
	}
	list, results, notes, err := o.toCheck(ctx, to, stderr)
	if err != nil {
		return err
	}
	if from != "" || to != "" {
		list, notes = slices.DeleteFunc(list, isLocal), nil
	}
	for _, device := range list {
		for _, way := range device.Ways() {
			o.log(stderr, "trying %s by %s over %s", device.Name, way.Transport, way.Provider)
			trial := o.remote.try(ctx, from, to, device, way)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			results = append(results, checked{Device: device.Name, Trial: trial})
		}
	}
	working := works(results)
	useless := names(results, func(c checked) bool { return !slices.Contains(working, c.Device) })
	results = append(results, notes...)
	if len(nodes) == 2 {
		for i := range results {
			results[i].From, results[i].Node = nodes[0], nodes[1]
		}
	}
	if err := writeChecked(report, o.format, results, working); err != nil {
		return err
	}
	switch {
	case len(useless) > 0:
		return fmt.Errorf("devices check: nothing works by %s", strings.Join(useless, ", "))
	case len(working) == 0 && len(nodes) == 2:
		return fmt.Errorf("devices check: node %s has no device that reaches other nodes; sublet devices -v there says what it left out", nodes[1])
	case len(working) == 0:
		return errors.New("devices check: there is no device to try; sublet devices -v says what is left out")
	}
	return nil
}

// remoteName is a node's name, or empty if it is this one's.
func remoteName(node string) string {
	name, err := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	if err == nil && (node == name || node == short) || node == "localhost" {
		return ""
	}
	return node
}

// toCheck are the devices to try; results say what is wrong with others that were asked for, and notes what
// this machine might have and has not.
func (o *devicesOptions) toCheck(ctx context.Context, node string, stderr io.Writer) (list []devices.Device, results, notes []checked, err error) {
	if node != "" {
		list, err = o.remote.devicesOf(ctx, node, 0, o.names)
		return list, nil, nil, err
	}
	machine, err := o.thisMachine(ctx, stderr)
	if err != nil {
		return nil, nil, nil, err
	}
	here, omitted := machine.Devices()
	for _, left := range omitted {
		o.log(stderr, "left out: %s", left)
	}
	if o.base == "" {
		list, err = choose(here, omitted, o.names)
		if err == nil && len(o.names) == 0 {
			notes = absent(here, omitted)
		}
		return list, nil, notes, err
	}
	file, err := config.Read(o.base, config.ParseDevices)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("devices check: --device-database: %w", err)
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, nil, nil, err
	}
	written, err := choose(file.Of(name), nil, o.names)
	if err != nil {
		return nil, nil, nil, err
	}
	list, results = compare(written, machine)
	return list, results, nil, nil
}

// absent says why there are no more RDMA devices than there are.
func absent(here []devices.Device, omitted []devices.Omitted) (notes []checked) {
	verbs := slices.ContainsFunc(here, func(d devices.Device) bool { return d.Provider == devices.Verbs })
	for _, left := range omitted {
		if left.Provider != devices.TCP {
			verbs = verbs || left.Provider == devices.Verbs
			notes = append(notes, note(left.Name, left.Provider, left.Reason))
		}
	}
	if !verbs {
		notes = append(notes, note("", devices.Verbs, "there is no RDMA device here; one in software: rdma link add rxe0 type rxe netdev INTERFACE (as root)"))
	}
	return notes
}

func note(device, provider, reason string) checked {
	return checked{Device: device, Trial: devices.Trial{Way: devices.Way{Provider: provider}, Reason: reason}}
}

// isLocal tells of devices that reach no other node.
func isLocal(d devices.Device) bool { return d.Provider == devices.SharedMemory || d.Name == "lo" }

// compare looks for the devices of a file on the machine: list are those that are there, with what the
// machine knows of them; missing are the others.
func compare(written []devices.Device, machine *devices.Machine) (list []devices.Device, missing []checked) {
	here, omitted := machine.Devices()
	for _, device := range written {
		at := slices.IndexFunc(here, func(d devices.Device) bool { return d.Name == device.Name })
		if at < 0 {
			reason := "this machine has no such device; it has " + strings.Join(devices.Names(here), ", ")
			for _, left := range omitted {
				if left.Name == device.Name {
					reason = left.Reason
				}
			}
			missing = append(missing, note(device.Name, device.Provider, reason))
			continue
		}
		if !machine.HasAddress(device.Address) {
			missing = append(missing, note(device.Name, device.Provider,
				fmt.Sprintf("this machine has no address %s; its %s has %s", device.Address, device.Name, cmp.Or(here[at].Address, "none"))))
			continue
		}
		device.Provider = cmp.Or(device.Provider, here[at].Provider)
		device.NetDev = cmp.Or(device.NetDev, here[at].NetDev)
		list = append(list, device)
	}
	return list, missing
}

// works are the names of the devices by which something works.
func works(results []checked) []string {
	return names(results, func(c checked) bool { return c.Works })
}

// names are those of the devices that a predicate holds of, once each.
func names(results []checked, of func(checked) bool) (list []string) {
	for _, result := range results {
		if of(result) && !slices.Contains(list, result.Device) {
			list = append(list, result.Device)
		}
	}
	return list
}

func writeChecked(w io.Writer, format outputFormat, results []checked, working []string) error {
	switch format {
	case outputJSON:
		if results == nil {
			results = []checked{}
		}
		return output.WriteJSON(w, results)
	case outputQuiet:
		for _, name := range working {
			fmt.Fprintln(w, name)
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEVICE\tTRANSPORT\tPROVIDER\tROUND TRIP\tRESULT")
	for _, r := range results {
		result, roundTrip := r.Reason, "-"
		if r.Works {
			result, roundTrip = "works", fmt.Sprintf("%.1f µs", float64(r.RoundTrip)/float64(time.Microsecond))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", orDash(r.Device), orDash(r.Transport), orDash(r.Provider), roundTrip, result)
	}
	return table.Flush()
}
