package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// devicesOptions are the flags of sublet devices.
type devicesOptions struct {
	names   []string
	port    int
	file    string
	verbose bool
	format  outputFormat
	hosts   string
	remote  remote
	base    string // the device database that check checks
}

func devicesCommand() *command {
	return &command{
		name: "devices", synopsis: "[check [A B]]", verbs: []string{"check"},
		summary: "write the device database of this machine, or try its devices",
		details: `
"sublet devices" writes the network interfaces that can be used now as rFaaS's devices.json: RDMA
devices first, then others, the loopback interface and shared memory. libfabric is asked for them
(through sublet-executor), and the kernel for addresses, states and NUMA nodes. --verbose says on
standard error what was left out, and why. With --hosts one file has the devices of all those
nodes, each with its node; it is written only if all of them have answered.

"sublet devices check" tries each device by each transport with real writes from one process to
another, and says which work, why others do not, and the median round trip of 8 bytes. With
--device-database it tries those of a file. "sublet devices check A B" tries the devices of node B
from node A. It fails if there is a device by which nothing works.

Other nodes are reached by srun inside a job of Slurm, else by ssh, which must not ask for a password.

--output json of check prints one array: device, node and from (if two nodes), transport, provider,
works, reason (if not), round_trip_ns. --output quiet prints the names of devices, with check of
those by which something works.`,
		examples: []string{
			"sublet devices > devices.json",
			"sublet devices -d mlx5_0 -p 10000 -o devices.json",
			"sublet devices --output table",
			"sublet devices --hosts n[1-4] -o devices.json",
			"sublet devices check",
			"sublet devices check n1 n2",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			o := &devicesOptions{}
			flags.StringArrayVarP(&o.names, "device", "d", nil, "only the device of that `NAME`; may be repeated (default: all that are up)")
			flags.IntVarP(&o.port, "port", "p", 0, "the `PORT` of each device, 0 to 65535; 0 is any that is free")
			flags.StringVarP(&o.file, "file", "o", "", "the `FILE` to write (default: standard output)")
			flags.BoolVarP(&o.verbose, "verbose", "v", false, "say what is asked, and what is left out")
			flags.Var(&o.format, "output", "how to print: table, json or quiet (default: json, and table of check)")
			flags.StringVar(&o.hosts, "hosts", "", "the nodes whose devices are wanted, as a `LIST` of Slurm's: n[1-4],login")
			flags.StringVar(&o.remote.via, "via", "", "`HOW` other nodes are reached: srun or ssh (default: srun in a job of Slurm, else ssh)")
			flags.StringVar(&o.remote.bin, "bin", "", "the `DIR`ectory of Sublet's programs on other nodes (default: that of this program)")
			flags.StringVar(&o.base, "device-database", "", "check: the `FILE` whose devices of this machine are tried")
			return func(args []string, stdout, stderr io.Writer) error {
				if err := o.read(args); err != nil {
					return err
				}
				ctx, stop := untilSignal()
				defer stop()
				report := &bytes.Buffer{}
				run := o.list
				if len(args) > 0 {
					run = func(ctx context.Context, report, stderr io.Writer) error {
						return o.check(ctx, args[1:], report, stderr)
					}
				}
				err := run(ctx, report, stderr)
				if report.Len() == 0 {
					return err
				}
				return errors.Join(err, o.write(report.Bytes(), stdout))
			}
		},
	}
}

// read checks what was asked for.
func (o *devicesOptions) read(args []string) error {
	checks := len(args) > 0
	switch {
	case checks && args[0] != "check":
		return usagef("devices: there is no %q; sublet devices writes them, sublet devices check tries them; see: sublet help devices", args[0])
	case checks && len(args) != 1 && len(args) != 3:
		return usagef("devices check: it takes no node, or the two between which to try, not %d; see: sublet help devices", len(args)-1)
	case checks && o.hosts != "":
		return usagef("devices check: --hosts is for writing their devices; name the two nodes between which to try; see: sublet help devices")
	case checks && len(args) == 3 && o.base != "":
		return usagef("devices check: --device-database is for trying this machine's devices; leave it or the nodes out")
	case !checks && o.base != "":
		return usagef("devices: --device-database is what check reads; -o FILE is what is written; see: sublet help devices")
	case o.port < 0 || o.port > 65535:
		return usagef("devices: --port %d: a port is 0 to 65535", o.port)
	}
	if o.format == "" {
		o.format = outputJSON
		if checks {
			o.format = outputTable
		}
	}
	return o.remote.read()
}

// list writes the device database.
func (o *devicesOptions) list(ctx context.Context, report, stderr io.Writer) error {
	database, machine, err := o.database(ctx, stderr)
	if err != nil {
		return err
	}
	switch o.format {
	case outputQuiet:
		for _, name := range devices.Names(database.Devices) {
			fmt.Fprintln(report, name)
		}
		return nil
	case outputTable:
		return writeDevices(report, database.Devices, machine)
	}
	return output.WriteJSON(report, database)
}

// database finds the devices of this machine, or collects those of the hosts. The machine is nil then.
func (o *devicesOptions) database(ctx context.Context, stderr io.Writer) (devices.Database, *devices.Machine, error) {
	if o.hosts != "" {
		database, err := o.remote.collect(ctx, o.hosts, o.port, o.names)
		return database, nil, err
	}
	machine, err := o.thisMachine(ctx, stderr)
	if err != nil {
		return devices.Database{}, nil, err
	}
	found, omitted := machine.Devices()
	for _, left := range omitted {
		o.log(stderr, "left out: %s", left)
	}
	if found, err = choose(found, omitted, o.names); err != nil {
		return devices.Database{}, nil, err
	}
	for i := range found {
		found[i].Port = o.port
	}
	return devices.Database{Devices: found}, machine, nil
}

func (o *devicesOptions) log(stderr io.Writer, format string, args ...any) {
	if o.verbose {
		fmt.Fprintf(stderr, "sublet devices: "+format+"\n", args...)
	}
}

// choose keeps the devices of those names, in their order. One that is not there is an error.
func choose(found []devices.Device, omitted []devices.Omitted, names []string) ([]devices.Device, error) {
	if len(names) == 0 {
		return found, nil
	}
	var chosen []devices.Device
	for _, name := range names {
		at := slices.IndexFunc(found, func(d devices.Device) bool { return d.Name == name })
		if at >= 0 {
			chosen = append(chosen, found[at])
			continue
		}
		for _, left := range omitted {
			if left.Name == name {
				return nil, fmt.Errorf("devices: device %s can not be used: %s", name, left.Reason)
			}
		}
		return nil, fmt.Errorf("devices: there is no device %s; there are %s", name, strings.Join(devices.Names(found), ", "))
	}
	return chosen, nil
}

// listPatience is how long libfabric may take to say what it offers.
const listPatience = 30 * time.Second

// thisMachine asks the kernel and libfabric what there is. Without libfabric it says so, and goes on.
func (o *devicesOptions) thisMachine(ctx context.Context, stderr io.Writer) (*devices.Machine, error) {
	interfaces, err := devices.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("devices: %w", err)
	}
	machine := &devices.Machine{Sys: os.DirFS("/sys"), Interfaces: interfaces}
	if machine.Offers, err = askLibfabric(ctx); err != nil {
		fmt.Fprintln(stderr, "sublet devices: libfabric could not be asked, the providers are those that are usual for such devices:", err)
		return machine, ctx.Err()
	}
	for _, offer := range machine.Offers {
		if !slices.Contains(devices.Providers, offer.Provider) {
			continue // one that Sublet does not use
		}
		o.log(stderr, "libfabric offers %s on %s", offer.Provider, strings.TrimSpace(offer.Domain+" "+offer.Address))
	}
	return machine, nil
}

// askLibfabric has sublet-executor, which can load it, list its offers.
func askLibfabric(ctx context.Context) ([]devices.Offer, error) {
	path, err := binaries.Find(executorProgram)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	command := exec.CommandContext(ctx, path, "--probe", "list")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, cmp.Or(lastWords(&stderr), fmt.Errorf("%s --probe list: %w", path, err))
	}
	var offers []devices.Offer
	if err := json.Unmarshal(out, &offers); err != nil {
		return nil, fmt.Errorf("%s --probe list: %w; is it of this version of Sublet?", path, err)
	}
	return offers, nil
}

const executorProgram = "sublet-executor"

// lastWords are the last line that a program has written to its standard error, without its name; nil if
// it has written none.
func lastWords(stderr *bytes.Buffer) error {
	text := strings.TrimSpace(stderr.String())
	text = text[strings.LastIndexByte(text, '\n')+1:]
	for _, name := range []string{executorProgram + ": ", "sublet: "} {
		text = strings.TrimPrefix(text, name)
	}
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// writeDevices writes a table of devices, and one of the NUMA nodes that they can be near to.
func writeDevices(w io.Writer, list []devices.Device, machine *devices.Machine) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEVICE\tINTERFACE\tADDRESS\tPROVIDER\tSTATE\tNUMA NODE\tNODE")
	for _, d := range list {
		numa := "-"
		if d.NUMANode != nil {
			numa = fmt.Sprint(*d.NUMANode)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, orDash(d.NetDev), orDash(d.Address), orDash(d.Provider), orDash(string(d.State)), numa, orDash(d.Node))
	}
	if machine != nil {
		fmt.Fprintln(table, "\nNUMA NODE\tCORES\tCPUS\tMEMORY")
		for _, n := range machine.NUMANodes() {
			fmt.Fprintf(table, "%d\t%d\t%s\t%s\n", n.ID, n.Cores, n.CPUs, bytesize.Format(n.Memory))
		}
	}
	return table.Flush()
}

// write writes the report where it was asked to go. A file that was there is replaced, as a whole.
func (o *devicesOptions) write(report []byte, stdout io.Writer) error {
	if o.file == "" {
		_, err := stdout.Write(report)
		return err
	}
	file, err := atomicfile.Create(o.file)
	if err == nil {
		defer file.Discard()
		_, err = file.Write(report)
	}
	if err == nil {
		err = file.Commit()
	}
	if err != nil {
		return fmt.Errorf("devices: --file %s: %w", o.file, plainError(err))
	}
	return nil
}
