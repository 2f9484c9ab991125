package usage

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// Error says that the command line is wrong.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

// Errorf makes one.
func Errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Text is what help says of a command.
type Text struct {
	Name     string // with that of the program
	Synopsis string // its arguments, may be empty; what goes behind --, as in "[-- OPTIONS]", comes last
	Summary  string // one line
	Details  string // more lines, may be empty
	Examples []string
}

// Write writes the help of a command with these flags.
func (t Text) Write(w io.Writer, flags *pflag.FlagSet) {
	usage := t.Name
	arguments, behind, passes := strings.Cut(t.Synopsis, "[--")
	if arguments = strings.TrimSpace(arguments); arguments != "" {
		usage += " " + arguments
	}
	if flags.HasFlags() {
		usage += " [FLAGS]"
	}
	if passes { // flags that stood there would be passed on
		usage += " [--" + behind
	}
	fmt.Fprintf(w, "%s: %s\n\nUsage: %s\n", flags.Name(), t.Summary, usage)
	if t.Details != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(t.Details))
	}
	if flags.HasFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsages())
	}
	if len(t.Examples) > 0 {
		fmt.Fprintln(w, "\nExamples:")
		for _, example := range t.Examples {
			fmt.Fprintln(w, "  "+example)
		}
	}
}
