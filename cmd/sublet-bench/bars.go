package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench/bars"
	"github.com/sublet-hpc/sublet/cmd/internal/output"
)

func barsCommand() *command {
	return &command{
		name: "bars", synopsis: "FILE...", summary: "hold what --save kept against what Sublet promises",
		details: `
A bar holds when the better end of the 95 % interval is within it: "aim" is better than that, "missed" is
worse. What several files measured is taken from the latest. The exit status does not depend on it:
where others use the machine, a bar can be missed by what they do.`,
		examples: []string{"make bench && sublet-bench bars build/bench/*.bench", "sublet-bench bars *.bench --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			format := output.Flag(flags)
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				runs, err := load("bars", args)
				if err != nil {
					return err
				}
				table := bars.New(runs)
				switch *format {
				case output.JSON:
					return output.WriteJSON(stdout, table)
				case output.Quiet:
					for _, b := range table.Bars {
						if _, err := fmt.Fprintln(stdout, b.Verdict); err != nil {
							return err
						}
					}
					return nil
				}
				return table.Write(stdout)
			}
		},
	}
}
