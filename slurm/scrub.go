package slurm

import (
	"slices"
	"strings"
)

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
