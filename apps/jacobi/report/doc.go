// Package report is what the Jacobi solver says: the progress of a run, its report as a table or as
// JSON, and the file of the solution. What the fields of the JSON mean stands at [Report].
package report
