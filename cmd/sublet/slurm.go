package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/sublet-hpc/sublet/slurm"
)

func slurmCommand() *command {
	return &command{
		name: "slurm", summary: "lend nodes by jobs of Slurm's: submit them, list them, cancel them",
		details: `
Jobs that were submitted here are known by their comment, which names their run directory.`,
		commands: []*command{submitCommand(), slurmListCommand(), slurmCancelCommand(), harvestCommand()},
	}
}

// slurmClient is a client of Slurm's, until a signal.
func slurmClient(name string, stderr io.Writer) (context.Context, *slurm.Client, func(), error) {
	log, err := newLogger(stderr, name, slog.LevelError)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, stop := untilSignal()
	return ctx, slurm.New(slurm.Options{Log: log}), stop, nil
}

// userID is whose jobs are ours. His name would not do: this program, which has no libc, knows it only where it is in /etc/passwd, and
// believes $USER elsewhere.
func userID() string { return strconv.Itoa(os.Getuid()) }
