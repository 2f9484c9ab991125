package slurm

import (
	"fmt"
	"slices"
	"strings"
)

// What sbatch's options take as a value, in Slurm 22.05 to 25.11. Those that are not here are of plugins, or of versions to come.
var (
	// longWithValue need one: --name=value, or the next word, whatever it begins with.
	longWithValue = strings.Fields("account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint container container-id core-spec" +
		" cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude export export-file extra" +
		" extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep" +
		" licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core" +
		" ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output partition power prefer priority profile qos reservation" +
		" segment signal sockets-per-node switches thread-spec threads-per-core time time-min tmp tres-bind tres-per-job tres-per-task uid" +
		" wait-all-nodes wckey wrap")
	// longAlone take none, or none but behind =.
	longAlone = strings.Fields("contiguous exclusive get-user-env help hold ignore-pbs immediate nice no-kill no-requeue oom-kill-step overcommit oversubscribe" +
		" parsable propagate quiet reboot requeue resv-ports share spread-job stepmgr test-only usage use-min-nodes verbose version wait")
)

// The same by letters.
const (
	shortWithValue = "ABCDFGJLMNSabcdeimnopqtwx"
	shortAlone     = "HIOQVWhsv" // the next letter is another option
	shortMayTake   = "k"         // what follows in the same word is its value
)

// CheckWords refuses words of sbatch's command line that are neither options nor values of options, as sbatch would read them: it takes
// the first such word for a script, and no option behind it. Values that look like options are refused, too: who reads the line would take
// them for some.
func CheckWords(words []string) error {
	waits, before := "", alone // an option for its value; what the word before is
	for _, word := range words {
		switch {
		case waits != "" && strings.HasPrefix(word, "-"):
			return fmt.Errorf("%s needs a value, and %s follows; write %s", waits, shown(word), attached(waits))
		case waits != "":
			waits = ""
			continue
		}
		is, err := kindOf(word)
		switch {
		case err != nil:
			return err
		case is == takesNext && before == unknown:
			return fmt.Errorf("%s: the option before it is not known here, and may take it for its value; write %s", word, attached(word))
		case is == takesNext:
			waits = word
		}
		before = is
	}
	if waits != "" {
		return fmt.Errorf("%s needs a value; write %s", waits, attached(waits))
	}
	return nil
}

// attached is how an option is written with its value in one word.
func attached(option string) string {
	if strings.HasPrefix(option, "--") {
		return option + "=VALUE"
	}
	return option + "VALUE"
}

// kind is what an option is to the next word.
type kind int

const (
	alone     kind = iota // nothing
	takesNext             // it is its value
	unknown               // nobody knows
)

// kindOf reads a word, which is to be an option.
func kindOf(word string) (kind, error) {
	long, is := strings.CutPrefix(word, "--")
	if is && long != "" {
		name, _, hasValue := strings.Cut(long, "=")
		switch {
		case hasValue || slices.Contains(longAlone, name):
			return alone, nil
		case slices.Contains(longWithValue, name):
			return takesNext, nil
		case slices.ContainsFunc(longWithValue, func(whole string) bool { return strings.HasPrefix(whole, name) }):
			return alone, fmt.Errorf("%s is no whole name of an option of sbatch; write the name out", shown(word))
		}
		return unknown, nil // of a plugin, or a later version: its value, if it has one, is behind =
	}
	letters, is := strings.CutPrefix(word, "-")
	if is && !strings.HasPrefix(letters, "-") && letters != "" {
		for i := range len(letters) {
			switch letter := letters[i : i+1]; {
			case strings.Contains(shortAlone, letter):
			case strings.Contains(shortMayTake, letter):
				return alone, nil
			case strings.Contains(shortWithValue, letter):
				if i == len(letters)-1 {
					return takesNext, nil
				}
				return alone, nil
			default:
				return alone, fmt.Errorf("%s: sbatch has no option -%s", shown(word), letter)
			}
		}
		return alone, nil
	}
	return alone, fmt.Errorf("%s is neither an option of sbatch nor the value of one (values of options that this version does not know are written behind =); the script is Sublet's own", shown(word))
}
