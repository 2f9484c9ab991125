// Package stats has the statistics of measurements that are not normally distributed: quantiles, and
// intervals from order statistics, which assume nothing but that samples are independent.
//
//	interval, ok := stats.Median95(sorted) // not ok: too few samples for one
package stats
