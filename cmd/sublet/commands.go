package main

import "strings"

// commands are all there are, in the order in which help lists them.
func commands() []*command {
	return []*command{
		resourceManagerCommand(), executorManagerCommand(), statusCommand(), nodeCommand(), leaseCommand(), explainCommand(), billCommand(), accessCommand(),
		invokeCommand(), devicesCommand(), doctorCommand(),
		versionCommand(), helpCommand(), completionCommand(), embeddedCommand(),
	}
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
