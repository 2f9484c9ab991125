package output

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/pflag"
)

// Format is the value of --output.
type Format string

// Formats: a table for people, one JSON value with documented fields for programs, and the one
// thing that a shell script wants.
const (
	Table Format = "table"
	JSON  Format = "json"
	Quiet Format = "quiet"
)

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *Format) Type() string { return "FORMAT" }

// Set implements pflag.Value.
func (f *Format) Set(value string) error {
	switch wish := Format(value); wish {
	case Table, JSON, Quiet:
		*f = wish
		return nil
	}
	return errors.New("it is table, json or quiet")
}

// Flag declares --output.
func Flag(flags *pflag.FlagSet) *Format {
	format := Table
	flags.VarP(&format, "output", "o", "how to print: table, json or quiet")
	return &format
}

// WriteJSON writes one JSON value, indented.
func WriteJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
