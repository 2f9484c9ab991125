package mpitest

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Launcher is the mpirun that tests use: MPIRUN, else the one that is called as the compiler
// wrapper MPICC is (mpirun.mpich beside mpicc.mpich), else mpirun.
func Launcher() string {
	if mpirun := os.Getenv("MPIRUN"); mpirun != "" {
		return mpirun
	}
	folder, wrapper := filepath.Split(os.Getenv("MPICC"))
	if variant, ok := strings.CutPrefix(wrapper, "mpicc"); ok {
		return folder + "mpirun" + variant
	}
	return "mpirun"
}

// Check tells whether a program was built with the MPI that the launcher is of. Ranks of one MPI
// under the mpirun of another are each alone, and compute everything each for itself.
func Check(program string) error {
	built, err := builtWith(program)
	if err != nil {
		return err
	}
	mpirun := Launcher()
	launcher, err := implementation(mpirun)
	if err != nil {
		return err
	}
	if launcher != built {
		return fmt.Errorf("%s is built with %s, and %s is of %s: MPICC and MPIRUN must name one MPI, as in MPICC=mpicc.mpich MPIRUN=mpirun.mpich", program, built, mpirun, launcher)
	}
	return nil
}

const (
	openMPI = "Open MPI"
	mpich   = "MPICH"
)

// builtWith is the MPI whose library a program links. Libraries with MPICH's binary interface
// (Intel's, Cray's) count as MPICH.
func builtWith(program string) (string, error) {
	file, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	for _, library := range libraries {
		switch {
		case strings.HasPrefix(library, "libmpi.so.12"), strings.HasPrefix(library, "libmpich"), strings.HasPrefix(library, "libmpi_"):
			return mpich, nil
		case strings.HasPrefix(library, "libmpi.so."):
			return openMPI, nil
		}
	}
	return "", fmt.Errorf("%s links no MPI library; it links %v", program, libraries)
}

// implementation is the MPI that an mpirun is of, which is asked once.
func implementation(mpirun string) (string, error) {
	ask, _ := implementations.LoadOrStore(mpirun, sync.OnceValues(func() (string, error) { return askImplementation(mpirun) }))
	return ask.(func() (string, error))()
}

// implementations are those of each mpirun, as functions.
var implementations sync.Map

func askImplementation(mpirun string) (string, error) {
	version, err := exec.Command(mpirun, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s; MPIRUN names the launcher of the MPI that MPICC names", mpirun, err, bytes.TrimSpace(version))
	}
	if bytes.Contains(version, []byte("Open MPI")) || bytes.Contains(version, []byte("OpenRTE")) {
		return openMPI, nil
	}
	return mpich, nil
}
