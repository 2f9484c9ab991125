package outcome

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table is a report for people, of lines that have a name each.
type Table struct {
	text    strings.Builder
	columns *tabwriter.Writer
}

// NewTable returns a table without lines.
func NewTable() *Table {
	t := &Table{}
	t.columns = tabwriter.NewWriter(&t.text, 0, 0, 3, ' ', 0)
	return t
}

// Line adds a line; without a name it belongs to the one before.
func (t *Table) Line(name, format string, args ...any) {
	fmt.Fprintf(t.columns, "%s\t%s\n", name, fmt.Sprintf(format, args...))
}

// Reached adds the line that says how executors were reached; nil: there were none.
func (t *Table) Reached(transport, provider *string) {
	if transport == nil {
		t.Line("transport", "none: no executors")
		return
	}
	t.Line("transport", "%s, provider %s", *transport, *provider)
}

// Write writes the table.
func (t *Table) Write(w io.Writer) error {
	if err := t.columns.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, t.text.String())
	return err
}

// WriteJSON writes a report as one JSON object, for people too.
func WriteJSON(w io.Writer, report any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// Count is a number of things, as in "1 rank" and "2 ranks".
func Count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
