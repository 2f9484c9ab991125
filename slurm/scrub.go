package slurm

import (
	"slices"
	"strings"
)

// defaults are variables by which a user, or his site, tells sbatch what to take where nothing else is said. sbatch takes them before what
// the script says, though: they are for scripts that say nothing of the kind.
var defaults = map[string]Option{
	"SBATCH_ACCOUNT":     {"account", 'A'},
	"SBATCH_CONSTRAINT":  {"constraint", 'C'},
	"SBATCH_EXPORT":      {"export", 0},
	"SBATCH_PARTITION":   {"partition", 'p'},
	"SBATCH_QOS":         {"qos", 'q'},
	"SBATCH_RESERVATION": {"reservation", 0},
	"SBATCH_TIMELIMIT":   {"time", 't'},
	"SBATCH_WCKEY":       {"wckey", 0},
}

// scrubForScript takes out of sbatch's environment what would make another job of a script than it says: another name, an array, a wait for
// its end.
func scrubForScript(environment []string, s Script) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "SBATCH_") {
			return false
		}
		option, is := defaults[name]
		return !is || slices.ContainsFunc(s.Options, option.Is)
	})
}

// scrub takes out of an environment what changes what the commands do or write: their own variables, and those of a job
// that this process is in, which would go on into jobs that it submits.
func scrub(environment []string) []string {
	inJob := slices.ContainsFunc(environment, func(variable string) bool { return strings.HasPrefix(variable, "SLURM_JOB_ID=") })
	kept := make([]string, 0, len(environment)+1)
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		own := strings.HasPrefix(name, "SINFO_") || strings.HasPrefix(name, "SQUEUE_") || strings.HasPrefix(name, "SCANCEL_")
		if !own && !(inJob && ofJob(name)) {
			kept = append(kept, variable)
		}
	}
	return append(kept, "SLURM_JSON=compact") // read from Slurm 25.05 on; earlier ones pass over it
}

// ofJob says whether a variable is one that Slurm sets in jobs.
func ofJob(name string) bool {
	if strings.HasPrefix(name, "SLURMD_") {
		return true
	}
	rest, ours := strings.CutPrefix(name, "SLURM_")
	for _, setting := range []string{"CONF", "CLUSTERS", "DEBUG", "EXIT", "JWT", "SACK", "CA"} {
		if strings.HasPrefix(rest, setting) {
			return false
		}
	}
	return ours
}
