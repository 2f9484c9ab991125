package manager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sublet-hpc/sublet/internal/control"
)

// privatePrefixes begin the names of variables that are the rank's, its launcher's and ours:
// an MPI library in a function must not take the executor for a rank, and secrets stay here. A
// provider of libfabric that was chosen for MPI is not chosen for us.
var privatePrefixes = []string{"SUBLET_", "OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDRA_", "MPI_LOCAL", "SLURM_", "SLURMD_", "FI_PROVIDER"}

// oneThread are set where the lease does not say otherwise: an executor has one core.
var oneThread = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}

// environment makes an executor's: the manager's without what is private, one thread for each
// library that would start more, and then what the lease names.
func environment(own, lease []string) ([]string, error) {
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
	for _, name := range oneThread {
		set(name, "1")
	}
	for _, variable := range lease {
		name, value, ok := strings.Cut(variable, "=")
		if !ok || name == "" || strings.ContainsRune(variable, 0) {
			return nil, &control.Failed{Code: control.CodeInvalid, Text: fmt.Sprintf("the lease's environment has %q, which is not NAME=VALUE", variable)}
		}
		set(name, value)
	}
	return variables, nil
}
