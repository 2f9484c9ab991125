package harvest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sublet-hpc/sublet/slurm"
)

// namePrefix begins the names of all jobs of all harvesters.
const namePrefix = "sublet-harvest-"

// Names are those of the jobs of one user for one run directory: by them, and by nothing else, a job is known to be ours.
type Names struct {
	prefix string
	user   string
}

// NamesFor are those of a run directory, by its absolute path.
func NamesFor(directory, user string) Names {
	sum := sha256.Sum256([]byte(directory))
	return Names{prefix: namePrefix + hex.EncodeToString(sum[:4]) + "-", user: user}
}

// fresh is a name that no job has.
func (n Names) fresh() string {
	nonce := make([]byte, 6)
	_, _ = rand.Read(nonce) // never fails
	return n.prefix + hex.EncodeToString(nonce)
}

// Of is the name by which we know a job, empty if it is not ours.
func (n Names) Of(job slurm.Job) string {
	if job.User == n.user && strings.HasPrefix(job.Name, n.prefix) {
		return job.Name
	}
	return ""
}

// ofAnyHarvester tells whether a job keeps an executor manager on an idle node, whoever it belongs to.
func ofAnyHarvester(job slurm.Job) bool { return strings.HasPrefix(job.Name, namePrefix) }
