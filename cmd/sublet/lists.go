package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
)

// list is how records of a kind are printed.
type list[T any] struct {
	name   func(T) string
	header string
	row    func(T) []string
}

// write prints records as a table, as one JSON array, or their names alone.
func (l list[T]) write(w io.Writer, format outputFormat, records []T) error {
	switch format {
	case outputJSON:
		if records == nil {
			records = []T{}
		}
		return output.WriteJSON(w, records)
	case outputQuiet:
		for _, record := range records {
			if _, err := fmt.Fprintln(w, l.name(record)); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, l.header)
	for _, record := range records {
		cells := l.row(record)
		for i, cell := range cells {
			cells[i] = strings.Map(printable, cell)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// printable has others write neither lines of ours nor to the terminal: what an administrator says of a node has what he has typed.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// writeRows prints what there is to know of one thing; rows without a value are left out.
func writeRows(w io.Writer, rows [][2]string) error {
	width := 0
	for _, row := range rows {
		if row[1] != "" {
			width = max(width, len(row[0]))
		}
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// age is how long ago something was; the clocks of two hosts may differ a little.
func age(at time.Time) string { return max(time.Since(at), 0).Round(time.Second).String() }

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
