package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// outputFormat is the value of --output.
type outputFormat string

// Formats: a table for people, one JSON value with documented fields for programs, and the one
// thing that a shell script wants.
const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
	outputQuiet outputFormat = "quiet"
)

// String implements pflag.Value.
func (o *outputFormat) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *outputFormat) Type() string { return "FORMAT" }

// Set implements pflag.Value.
func (o *outputFormat) Set(value string) error {
	switch f := outputFormat(value); f {
	case outputTable, outputJSON, outputQuiet:
		*o = f
		return nil
	}
	return fmt.Errorf("it is table, json or quiet")
}

func outputFlag(flags *pflag.FlagSet) *outputFormat {
	format := outputTable
	flags.VarP(&format, "output", "o", "how to print: table, json or quiet")
	return &format
}
