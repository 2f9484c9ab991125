// Package bars holds what was measured against what Sublet promises: a row for each promise, with the figure,
// its interval, the bar and the aim beyond it. A bar holds when the better end of the 95 % interval is within
// it.
//
// It is no check for a machine to make by itself: on one that others use, a bar can be missed by what
// disturbed the run.
package bars
