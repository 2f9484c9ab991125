package main

import "strings"

// commands are all there are, in the order in which help lists them.
func commands() []*command {
	return []*command{
		resourceManagerCommand(), executorManagerCommand(), launchCommand(), slurmCommand(), statusCommand(), nodeCommand(), leaseCommand(), explainCommand(), billCommand(), accessCommand(),
		invokeCommand(), devicesCommand(), doctorCommand(),
		versionCommand(), helpCommand(), completionCommand(), embeddedCommand(),
	}
}

// everyCommand are all of them, and those behind them.
func everyCommand() (all []*command) {
	for _, c := range commands() {
		all = append(append(all, c), c.commands...)
	}
	return all
}

// subcommand is the command that a command line means, and what follows its name.
func subcommand(args []string) (*command, []string, error) {
	c, err := findCommand(args[0])
	if err != nil || len(c.commands) == 0 {
		return c, args[1:], err
	}
	if len(args) > 1 && (args[1] == "-h" || args[1] == "--help") {
		return c, args[1:], nil
	}
	var known []string
	for _, sub := range c.commands {
		word := strings.TrimPrefix(sub.name, c.name+" ")
		if len(args) > 1 && word == args[1] {
			return sub, args[2:], nil
		}
		known = append(known, word)
	}
	return nil, nil, usagef("%s: what of it? sublet %s %s; see: sublet help %s", c.name, c.name, strings.Join(known, ", "), c.name)
}

func findCommand(name string) (*command, error) {
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
	}
	if strings.HasPrefix(name, "-") {
		return nil, usagef("unknown flag %s; see: sublet help", name)
	}
	if nearest := nearestCommand(name); nearest != "" {
		return nil, usagef("there is no command %q; did you mean %q? see: sublet help", name, nearest)
	}
	return nil, usagef("there is no command %q; see: sublet help", name)
}

// nearestCommand is the command whose name is a few slips away, empty if none is.
func nearestCommand(name string) string {
	best, least := "", 3
	for _, c := range commands() {
		if d := distance(name, c.name); !c.internal && d < least && d < len(c.name) {
			best, least = c.name, d
		}
	}
	return best
}

// distance is how many letters must be inserted, deleted or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
