package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
)

// commands are all there are, in the order in which help lists them.
func commands() []*command {
	return []*command{
		latencyCommand(), bandwidthCommand(), throughputCommand(), coldCommand(), scaleCommand(), warmCommand(), parallelCommand(),
		reportCommand(), barsCommand(), plotCommand(), compareCommand(), helpCommand(), completionCommand(), versionCommand(),
	}
}

func find(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return c
		}
	}
	return nil
}

func helpCommand() *command {
	return &command{
		name: "help", synopsis: "[COMMAND]", summary: "explain the commands", examples: []string{"sublet-bench help latency"},
		setUp: func(*pflag.FlagSet) runFunc {
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				switch len(args) {
				case 0:
					writeOverview(stdout)
					return nil
				case 1:
					if c := find(args[0]); c != nil {
						writeHelp(stdout, c)
						return nil
					}
					return usagef("there is no command %q; see: sublet-bench help", args[0])
				}
				return usagef("help: unexpected argument %q", args[1])
			}
		},
	}
}

func writeOverview(w io.Writer) {
	fmt.Fprint(w, `sublet-bench measures what an invocation costs, beside what the same machine does without Sublet.

Usage: sublet-bench COMMAND [FLAGS]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
Exit status: 0 it worked, 1 it failed, 2 the command line is wrong.
"sublet-bench help COMMAND" explains a command and shows examples.
`)
}

func writeHelp(w io.Writer, c *command) {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SortFlags = false
	c.setUp(flags)
	text := usage.Text{Name: "sublet-bench " + c.name, Synopsis: c.synopsis, Summary: c.summary, Details: c.details, Examples: c.examples}
	text.Write(w, flags)
}
