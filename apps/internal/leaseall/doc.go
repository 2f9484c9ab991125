// Package leaseall has the tests of offload.LeaseAll by ranks under mpirun, and says that gompi's communicator is one for it;
// nothing else. They need hosts of their own (package internal/hosts).
package leaseall

import (
	mpi "github.com/sbromberger/gompi"

	"github.com/sublet-hpc/sublet/offload"
)

var _ offload.Communicator[mpi.Status] = (*mpi.Communicator)(nil)
