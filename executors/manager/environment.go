package manager

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sublet-hpc/sublet/internal/control"
)

// privatePrefixes begin the names of variables that are the rank's, its launcher's and ours:
// an MPI library in a function must not take the executor for a rank, and secrets stay here. A
// provider of libfabric that was chosen for MPI is not chosen for us.
var privatePrefixes = []string{"SUBLET_", "OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDRA_", "MPI_LOCAL", "SLURM_", "SLURMD_", "FI_PROVIDER"}

// threads are set where the lease does not say otherwise: as many as an executor has cores.
var threads = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}

// checkEnvironment refuses what a lease names if it is no variable.
func checkEnvironment(lease []string) error {
	for _, variable := range lease {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" || strings.ContainsRune(variable, 0) {
			return &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("the lease's environment has %q, which is not NAME=VALUE", variable)}
		}
	}
	return nil
}

// environment makes an executor's: the manager's without what is private, as many threads as it has cores for
// each library that would start more, and then what the lease names, which has been checked.
func environment(own, lease []string, cores int) []string {
	var names, variables []string
	set := func(name, value string) {
		if i := slices.Index(names, name); i >= 0 {
			variables[i] = name + "=" + value
			return
		}
		names = append(names, name)
		variables = append(variables, name+"="+value)
	}
	for _, variable := range own {
		name, value, ok := strings.Cut(variable, "=")
		private := slices.ContainsFunc(privatePrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if ok && name != "" && !private {
			set(name, value)
		}
	}
	for _, name := range threads {
		set(name, strconv.Itoa(cores))
	}
	for _, variable := range lease {
		name, value, _ := strings.Cut(variable, "=")
		set(name, value)
	}
	return variables
}
