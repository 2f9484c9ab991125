package main

import (
	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
)

// outputFormat is the value of --output.
type outputFormat = output.Format

const (
	outputTable = output.Table
	outputJSON  = output.JSON
	outputQuiet = output.Quiet
)

func outputFlag(flags *pflag.FlagSet) *outputFormat { return output.Flag(flags) }
