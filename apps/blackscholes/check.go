package main

import (
	"math"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/blackscholes/report"
)

// check is what comparing prices with the reference has found.
type check struct {
	mismatches int64
	largest    float64 // difference
}

// compare compares some prices with their references.
func compare[T portfolio.Float](c *check, reference []float32, prices []T) {
	for i, price := range prices {
		difference := math.Abs(float64(price) - float64(reference[i]))
		if difference < report.Limit {
			c.largest = max(c.largest, difference)
			continue
		}
		c.mismatches++
		if math.IsNaN(difference) {
			difference = math.MaxFloat64 // JSON has no infinity
		}
		c.largest = max(c.largest, min(difference, math.MaxFloat64))
	}
}
