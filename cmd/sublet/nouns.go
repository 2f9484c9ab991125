package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// noun is a command that does things with the resource manager's records of one kind.
type noun struct {
	name, summary, details string
	examples               []string
	declare                func(*pflag.FlagSet) []verb
}

// verb is what can be done with a noun.
type verb struct {
	name string
	// takes says what names it takes: none, one or some.
	takes takes
	flags []string // that are its own
	run   func(ctx context.Context, client *api.Client, names []string, format outputFormat, stdout io.Writer) error
}

type takes int

const (
	takesNone takes = iota
	takesOne
	takesSome
)

func (n noun) command() *command {
	var verbs []string
	for _, v := range n.declare(pflag.NewFlagSet(n.name, pflag.ContinueOnError)) {
		verbs = append(verbs, v.name)
	}
	return &command{
		name: n.name, synopsis: strings.Join(verbs, "|") + " [NAME...]", verbs: verbs, summary: n.summary, details: n.details, examples: n.examples,
		setUp: func(flags *pflag.FlagSet) runFunc {
			dir, format := directoryFlag(flags), outputFlag(flags)
			verbs := n.declare(flags)
			return func(args []string, stdout, _ io.Writer) error {
				chosen, names, err := n.choose(verbs, flags, args)
				if err != nil {
					return err
				}
				return withClient(*dir, func(ctx context.Context, client *api.Client) error {
					return chosen.run(ctx, client, names, *format, stdout)
				})
			}
		},
	}
}

// withClient calls a function with a client of the run directory, until Ctrl-C.
func withClient(dir string, use func(context.Context, *api.Client) error) error {
	client, err := api.Open(dir)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := untilSignal()
	defer stop()
	return use(ctx, client)
}

// choose finds the verb, and checks names and flags.
func (n noun) choose(verbs []verb, flags *pflag.FlagSet, args []string) (verb, []string, error) {
	known := make([]string, len(verbs))
	for i, v := range verbs {
		known[i] = v.name
	}
	at := -1
	if len(args) > 0 {
		at = slices.Index(known, args[0])
	}
	if at < 0 {
		return verb{}, nil, usagef("%s: what with it? sublet %s %s; see: sublet help %s", n.name, n.name, strings.Join(known, ", "), n.name)
	}
	chosen := verbs[at]
	for _, v := range verbs {
		for _, flag := range v.flags {
			if flags.Changed(flag) && !slices.Contains(chosen.flags, flag) {
				return verb{}, nil, usagef("%s %s: --%s is for sublet %s %s; see: sublet help %s", n.name, chosen.name, flag, n.name, v.name, n.name)
			}
		}
	}
	names, err := namesOf(n.name+" "+chosen.name, args[1:])
	if err != nil {
		return verb{}, nil, err
	}
	switch {
	case chosen.takes == takesNone && len(names) > 0:
		return verb{}, nil, usagef("%s %s: unexpected argument %q; see: sublet help %s", n.name, chosen.name, names[0], n.name)
	case chosen.takes != takesNone && len(names) == 0:
		return verb{}, nil, usagef("%s %s: which %s? sublet %s list shows them", n.name, chosen.name, n.name, n.name)
	case chosen.takes == takesOne && len(names) > 1:
		return verb{}, nil, usagef("%s %s: it takes one %s, not %d; see: sublet help %s", n.name, chosen.name, n.name, len(names), n.name)
	}
	return chosen, names, nil
}

// namesOf unfolds lists of Slurm's, such as n[1-4].
func namesOf(what string, args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		if !strings.ContainsAny(arg, "[,") {
			if arg == "" {
				return nil, usagef("%s: an empty name", what)
			}
			names = append(names, arg)
			continue
		}
		list, err := slurm.Expand(arg)
		if err != nil {
			return nil, usagef("%s: %v", what, err)
		}
		names = append(names, list...)
	}
	return names, nil
}

// failures are those of several names; a script finds the first by its exit status.
type failures []error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

func (f failures) Unwrap() []error { return f }

// each does something for every name, also behind one for which it fails, and returns for which it worked.
func each(names []string, do func(string) error) (done []string, err error) {
	var failed failures
	for _, name := range names {
		if err := do(name); err != nil {
			failed = append(failed, err)
			continue
		}
		done = append(done, name)
	}
	if failed == nil {
		return done, nil
	}
	return done, failed
}

// writeDone prints of what something has been done.
func writeDone(w io.Writer, format outputFormat, key, what string, names []string) error {
	if format == outputJSON {
		records := []map[string]any{}
		for _, name := range names {
			records = append(records, map[string]any{key: name, what: true})
		}
		return output.WriteJSON(w, records)
	}
	for _, name := range names {
		line := name + " " + what
		if format == outputQuiet {
			line = name
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
