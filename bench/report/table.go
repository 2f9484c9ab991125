package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sublet-hpc/sublet/bench/record"
)

// WriteTable writes what people read: the machine, a line for each result with its baselines and
// ratios, and what disturbed the run.
func (d *Document) WriteTable(w io.Writer) error {
	m := d.Machine
	virtual := ""
	if m.Virtual {
		virtual = ", a virtual machine"
	}
	libfabric := ""
	if d.Versions.Libfabric != "" {
		libfabric = ", libfabric " + d.Versions.Libfabric
	}
	fmt.Fprintf(w, "%s: %s, %d cores%s, %s, Linux %s; Sublet %s%s\n\n", m.Host, m.Processor, m.Cores, virtual, m.System, m.Kernel, d.Versions.Sublet, libfabric)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	previous := ""
	for _, r := range d.Results {
		if r.Kind != previous {
			if previous != "" {
				fmt.Fprintln(table)
			}
			fmt.Fprintln(table, heading(r.Kind))
			previous = r.Kind
		}
		fmt.Fprintln(table, line(&r, "sublet", ""))
		for _, b := range d.Baselines {
			if alike(&r, &b) {
				fmt.Fprintln(table, line(&b, b.Name, d.ratio(&r, b.Name)))
			}
		}
	}
	for _, b := range d.Baselines { // of runs without results of ours there are none today
		if len(d.Results) == 0 {
			fmt.Fprintln(table, line(&b, b.Name, ""))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(d.Notes) > 0 {
		fmt.Fprintf(w, "\ndisturbed:\n  %s\n", strings.Join(d.Notes, "\n  "))
	}
	return nil
}

func alike(a, b *Result) bool {
	return a.Kind == b.Kind && a.Mode == b.Mode && a.Bytes == cmp.Or(b.Against, b.Bytes) && a.InFlight == b.InFlight &&
		a.Executors == b.Executors && a.Clients == b.Clients && a.Touched == b.Touched
}

// find is the ratio to a baseline; nil if there is none.
func (d *Document) find(ours *Result, baseline string) *Ratio {
	for i, r := range d.Ratios {
		if r.Kind == ours.Kind && r.Bytes == ours.Bytes && r.Mode == ours.Mode && r.InFlight == ours.InFlight && r.Touched == ours.Touched &&
			r.Executors == ours.Executors && r.Baseline == baseline {
			return &d.Ratios[i]
		}
	}
	return nil
}

// ratio writes it; of latency with that of the 99th percentiles in a column of its own.
func (d *Document) ratio(ours *Result, baseline string) string {
	r := d.find(ours, baseline)
	if r == nil {
		return ""
	}
	p50, ci := r.P50, r.CI95
	if r.Kind == record.Scale { // how many times as fast, and not how much of the time
		p50 = 1 / p50
		if ci != nil {
			ci = &[2]float64{1 / ci[1], 1 / ci[0]}
		}
	}
	text := fmt.Sprintf("%.2f", p50)
	if ci == nil {
		text += fmt.Sprintf(" (%d pairs: too few for an interval)", r.N)
	} else {
		text += fmt.Sprintf(" (%.2f to %.2f)", ci[0], ci[1])
	}
	if r.Beside {
		text += ", not in turns"
	}
	switch {
	case r.P99 != nil && r.P99CI95 != nil:
		text += fmt.Sprintf("\t%.2f (%.2f to %.2f)", *r.P99, r.P99CI95[0], r.P99CI95[1])
	case r.Kind == record.Latency:
		text += "\ttoo few"
	}
	return text
}

func heading(kind string) string {
	switch kind {
	case record.Bandwidth:
		return "bandwidth\twho\tmode\tvia\tn\tGB/s\tmedian\t95 %\tsublet against it"
	case record.Throughput:
		return "executors\twho\tmode\tvia\tn\tinvocations\teach\t95 %\tsublet against it"
	case record.Cold:
		return "cold\tclients\tphase\tvia\tn\tmedian\t95 %\tmin\tp99"
	case record.Scale:
		return "scale\twho\texecutors\tcores\tvia\tn\ta step\t95 %\tmin\tsublet's speed-up"
	}
	return "latency\twho\tmode\tvia\tn\tmedian\t95 %\tmin\tp99\tp99.9\tsublet against it\tits p99"
}

func line(r *Result, who, ratio string) string {
	via := r.Transport
	if r.Provider != "" && r.Provider != r.Transport {
		via += ", " + r.Provider
	}
	ci, p99, p999 := "too few", "too few", "too few"
	if r.CI95 != nil {
		ci = Clock(float64(r.CI95[0])) + " to " + Clock(float64(r.CI95[1]))
	}
	if r.P99 != nil {
		p99 = Clock(float64(*r.P99))
	}
	if r.P999 != nil {
		p999 = Clock(float64(*r.P999))
	}
	mode := r.Mode
	if r.InFlight > 1 && r.Kind == record.Latency {
		mode += fmt.Sprintf(", %d in flight", r.InFlight)
	}
	if !r.Touched && (r.Kind == record.Latency || r.Kind == record.Bandwidth) {
		mode += ", untouched"
	}
	var fields []string
	median, least := Clock(float64(r.P50)), Clock(float64(r.Min))
	switch r.Kind {
	case record.Bandwidth:
		fields = []string{Size(r.Bytes), who, mode, via, fmt.Sprint(r.N), fmt.Sprintf("%.2f", r.PerSecond*float64(r.Bytes)/1e9), median, ci, ratio}
	case record.Throughput:
		each := Clock(float64(r.P50) / float64(r.Operations))
		if r.CI95 != nil {
			ci = fmt.Sprintf("%.1f to %.1f ns", float64(r.CI95[0])/float64(r.Operations), float64(r.CI95[1])/float64(r.Operations))
		}
		fields = []string{fmt.Sprint(r.Executors), who, mode, via, fmt.Sprint(r.N), rate(r.PerSecond), each, ci, ratio}
	case record.Cold:
		fields = []string{"", fmt.Sprint(r.Clients), r.Mode, via, fmt.Sprint(r.N), median, ci, least, p99}
	case record.Scale:
		cores := r.Executors + 1
		if r.Name == record.OneCore {
			cores = 1
		}
		fields = []string{"", who, fmt.Sprint(r.Executors), fmt.Sprint(cores), via, fmt.Sprint(r.N), median, ci, least, ratio}
	default:
		fields = []string{Size(r.Bytes), who, mode, via, fmt.Sprint(r.N), median, ci, least, p99, p999, ratio}
	}
	return strings.TrimRight(strings.Join(fields, "\t"), "\t")
}
