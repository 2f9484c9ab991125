package main

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
)

func helpCommand() *command {
	return &command{
		name: "help", synopsis: "[COMMAND]", summary: "explain Sublet's commands",
		examples: []string{"sublet help version"},
		setUp: func(*pflag.FlagSet) runFunc {
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) == 0 {
					writeOverview(stdout)
					return nil
				}
				if err := noArguments("help", args[1:]); err != nil {
					return err
				}
				c, err := findCommand(args[0])
				if err != nil {
					return err
				}
				writeHelp(stdout, c)
				return nil
			}
		},
	}
}

func writeOverview(w io.Writer) {
	fmt.Fprint(w, `sublet lends the idle cores of a cluster to running MPI programs, a few microseconds at a time.

Usage: sublet COMMAND [FLAGS]

`)
	list := func(title string, internal bool) {
		fmt.Fprintln(w, title)
		for _, c := range commands() {
			if c.internal == internal {
				fmt.Fprintf(w, "  %-17s %s\n", c.name, c.summary)
			}
		}
	}
	list("Commands:", false)
	fmt.Fprintln(w)
	list("Internal commands, which Sublet runs itself:", true)
	fmt.Fprint(w, `
Exit status: 0 it worked, 1 it failed, 2 the command line is wrong, 3 there is no resource manager or
it does not answer, 4 the node, lease or request that was named is not there, 5 it is in use.
"sublet help COMMAND" explains a command and shows examples.
`)
}

func writeHelp(w io.Writer, c *command) {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	c.setUp(flags)
	text := usage.Text{Name: "sublet " + c.name, Synopsis: c.synopsis, Summary: c.summary, Details: c.details, Examples: c.examples}
	text.Write(w, flags)
}
