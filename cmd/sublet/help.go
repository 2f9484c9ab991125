package main

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/usage"
)

func helpCommand() *command {
	return &command{
		name: "help", synopsis: "[COMMAND [SUBCOMMAND]]", summary: "explain Sublet's commands",
		examples: []string{"sublet help version"},
		setUp: func(*pflag.FlagSet) runFunc {
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) == 0 {
					writeOverview(stdout)
					return nil
				}
				c, rest, err := explained(args)
				if err != nil {
					return err
				}
				if err := noArguments("help", rest); err != nil {
					return err
				}
				writeHelp(stdout, c)
				return nil
			}
		},
	}
}

// explained is the command that the words name, and what words are left over.
func explained(words []string) (*command, []string, error) {
	if len(words) > 1 {
		return subcommand(words)
	}
	c, err := findCommand(words[0])
	return c, nil, err
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
	flags := flagsOf(c)
	text := usage.Text{Name: "sublet " + c.name, Synopsis: c.synopsis, Summary: c.summary, Details: c.details, Examples: c.examples}
	if len(c.commands) > 0 {
		text.Synopsis = "COMMAND"
		text.Details += "\n\nCommands:\n"
		for _, sub := range c.commands {
			text.Details += fmt.Sprintf("  %-17s %s\n", sub.name, sub.summary)
			text.Examples = append(text.Examples, sub.examples...)
		}
		text.Details += "\n\"sublet help " + c.name + " COMMAND\" has the flags of each."
	}
	text.Write(w, flags)
}

// flagsOf are those of a command by itself.
func flagsOf(c *command) *pflag.FlagSet {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	if c.setUp != nil {
		c.setUp(flags)
	}
	return flags
}
