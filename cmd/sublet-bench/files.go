package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench/figure"
	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/bench/report"
	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/internal/version"
)

func reportCommand() *command {
	return &command{
		name: "report", synopsis: "FILE...", summary: "tabulate what --save kept",
		examples: []string{
			"sublet-bench report ring.bench",
			"sublet-bench report ring.bench --output json",
			"sublet-bench report --benchstat old.bench > old.txt",
		},
		setUp: func(flags *pflag.FlagSet) runFunc {
			format := output.Flag(flags)
			benchstat := flags.Bool("benchstat", false, "write the medians of blocks as Go's benchmarks do, for benchstat")
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				runs, err := load("report", args)
				if err != nil {
					return err
				}
				if *format == output.JSON && len(runs) != 1 {
					return usagef("report: --output json is one value; name one file")
				}
				for i, run := range runs {
					switch {
					case *benchstat:
						err = report.WriteBenchstat(stdout, run)
					default:
						if len(runs) > 1 && *format == output.Table {
							fmt.Fprintf(stdout, "%s%s, of %s:\n", strings.Repeat("\n", min(i, 1)), args[i], run.Began.Format("2006-01-02 15:04"))
						}
						err = write(stdout, run, *format)
					}
					if err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}

func load(name string, paths []string) ([]*record.Run, error) {
	if len(paths) == 0 {
		return nil, usagef("%s: which files? those that --save wrote", name)
	}
	runs := make([]*record.Run, len(paths))
	for i, path := range paths {
		var err error
		if runs[i], err = record.Load(path); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

func plotCommand() *command {
	return &command{
		name: "plot", synopsis: "FILE...", summary: "draw latency over payload size, of one file or several side by side",
		examples: []string{"sublet-bench plot ring.bench tcp.bench --out latency", "sublet-bench plot ring.bench --out ring.svg"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			out := flags.String("out", "latency", "`FILE` to draw into: .svg or .png, or without an ending both")
			title := flags.String("title", "", "`TEXT` above the figure (default: the machine)")
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				runs, err := load("plot", args)
				if err != nil {
					return err
				}
				var inputs []figure.Input
				for i, run := range runs {
					if !figure.HasLatency(run) {
						return fmt.Errorf("plot: %s: it has no latency of payloads above 0 bytes; leave it out", args[i])
					}
					base := filepath.Base(args[i])
					inputs = append(inputs, figure.Input{Label: strings.TrimSuffix(base, filepath.Ext(base)), Run: run})
				}
				if *title == "" {
					m := runs[0].Machine
					*title = fmt.Sprintf("%s, %d cores", m.Processor, m.Cores)
				}
				drawing, err := figure.Latency(*title, inputs)
				if err != nil {
					return fmt.Errorf("plot: %w", err)
				}
				paths := []string{*out}
				switch filepath.Ext(*out) {
				case ".svg", ".png":
				case "":
					paths = []string{*out + ".svg", *out + ".png"}
				default:
					return usagef("plot: --out %s: it ends in .svg or .png, or in neither for both", *out)
				}
				for _, path := range paths {
					if err := drawing.Save(path); err != nil {
						return fmt.Errorf("plot: %w", err)
					}
					fmt.Fprintln(stdout, path)
				}
				return nil
			}
		},
	}
}

func compareCommand() *command {
	return &command{
		name: "compare", synopsis: "OLD NEW", summary: "say what changed beyond noise between two files",
		details: `
A series changed if the 95 % intervals of both medians, of blocks, do not overlap. Two runs on a machine
that others use differ by more than that: repeat them.`,
		examples: []string{"sublet-bench compare before.bench after.bench"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			format := output.Flag(flags)
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				if len(args) != 2 {
					return usagef("compare: two files, the older one first")
				}
				runs, err := load("compare", args)
				if err != nil {
					return err
				}
				changes := report.Compare(runs[0], runs[1])
				if len(changes) == 0 {
					return fmt.Errorf("compare: %s and %s measured nothing that is the same", args[0], args[1])
				}
				switch *format {
				case output.JSON:
					return output.WriteJSON(stdout, changes)
				case output.Quiet:
					for _, c := range changes {
						if _, err := fmt.Fprintln(stdout, c.Verdict); err != nil {
							return err
						}
					}
					return nil
				}
				return report.WriteChanges(stdout, runs[0], runs[1], changes)
			}
		},
	}
}

func versionCommand() *command {
	return &command{
		name: "version", summary: "print the version",
		setUp: func(*pflag.FlagSet) runFunc {
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				if len(args) > 0 {
					return usagef("version: unexpected argument %q", args[0])
				}
				_, err := fmt.Fprintln(stdout, "sublet-bench", version.Version)
				return err
			}
		},
	}
}
