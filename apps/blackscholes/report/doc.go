// Package report is what blackscholes says: the progress of a run, and its report as a table or as JSON. What the
// fields of the JSON mean stands at [Report].
package report
