// Package figure draws runs: latency over payload size, log-log, the median and the 99th percentile.
package figure
