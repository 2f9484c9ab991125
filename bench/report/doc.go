// Package report tells of runs: as tables, as JSON, as text for benchstat, and what changed between two.
package report
