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
	userID string
}

// nonceSize is how many random bytes a name ends with.
const nonceSize = 6

// NamesFor are those of a run directory, by its absolute path. The user is known by his number: others can give their jobs our
// names, and what he is called differs from host to host.
func NamesFor(directory, userID string) Names {
	sum := sha256.Sum256([]byte(directory))
	return Names{prefix: namePrefix + hex.EncodeToString(sum[:4]) + "-", userID: userID}
}

// fresh is a name that no job has.
func (n Names) fresh() string {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	return n.prefix + hex.EncodeToString(nonce)
}

// Of is the name by which we know a job, empty if it is not ours. It is also the name of a file: nothing but what fresh makes is one.
func (n Names) Of(job slurm.Job) string {
	nonce, is := strings.CutPrefix(job.Name, n.prefix)
	if bytes, err := hex.DecodeString(nonce); !is || job.UserID != n.userID || err != nil || len(bytes) != nonceSize {
		return ""
	}
	return job.Name
}

// ofAnyHarvester tells whether a job keeps an executor manager on an idle node, whoever it belongs to.
func ofAnyHarvester(job slurm.Job) bool { return strings.HasPrefix(job.Name, namePrefix) }
