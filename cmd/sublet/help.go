package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
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
Exit status: 0 it worked, 1 it failed, 2 the command line is wrong.
"sublet help COMMAND" explains a command and shows examples.
`)
}

func writeHelp(w io.Writer, c *command) {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	c.setUp(flags)
	usage := "sublet " + c.name
	if c.synopsis != "" {
		usage += " " + c.synopsis
	}
	if flags.HasFlags() {
		usage += " [FLAGS]"
	}
	fmt.Fprintf(w, "%s: %s\n\nUsage: %s\n", c.name, c.summary, usage)
	if c.details != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.details))
	}
	if flags.HasFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsages())
	}
	if len(c.examples) > 0 {
		fmt.Fprintln(w, "\nExamples:")
		for _, example := range c.examples {
			fmt.Fprintln(w, "  "+example)
		}
	}
}
